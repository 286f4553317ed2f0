package javafx.application

import java.util.concurrent.Executors

/** One thread that plays the window's own. */
class Platform {
    private static Thread window
    private static final executor = Executors.newSingleThreadExecutor({ work ->
        window = new Thread(work, 'window')
        window.setDaemon(true)
        window
    } as java.util.concurrent.ThreadFactory)

    static boolean isFxApplicationThread() { Thread.currentThread().is(window) }

    static void runLater(Runnable work) { executor.submit(work) }

    /** For the tests: run on the window's thread and wait. */
    static Object runAndWait(Closure work) { executor.submit(work as java.util.concurrent.Callable).get() }
}
