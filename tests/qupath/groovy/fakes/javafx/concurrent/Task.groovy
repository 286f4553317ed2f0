package javafx.concurrent

import java.util.concurrent.CompletableFuture
import javafx.application.Platform
import javafx.beans.Property

/** Like JavaFX's: the handlers run on the window's thread, cancelling interrupts. */
abstract class Task<V> implements Runnable {
    private final CompletableFuture future = new CompletableFuture()
    private volatile Thread runner
    private final Property message = new Property()
    private final Property progress = new Property()
    private Closure succeeded, failed, cancelled

    protected abstract V call() throws Exception

    void run() {
        runner = Thread.currentThread()
        try {
            def value = call()
            if (future.complete(value)) end(succeeded)
        } catch (Throwable error) {
            if (future.completeExceptionally(error)) end(failed)
        } finally {
            runner = null
        }
    }

    private void end(Closure handler) { if (handler != null) Platform.runLater({ handler.call(null) } as Runnable) }

    boolean cancel() {
        if (!future.cancel(true)) return false
        runner?.interrupt()
        end(cancelled)
        true
    }

    boolean isCancelled() { future.isCancelled() }

    boolean isRunning() { !future.isDone() }

    Object get() { future.get() }

    Property messageProperty() { message }

    Property progressProperty() { progress }

    protected void updateMessage(String words) { message.set(words) }

    protected void updateProgress(double done, double total) { progress.set(total < 0 ? -1.0d : done / total) }

    void setOnSucceeded(Closure handler) { succeeded = handler }

    void setOnFailed(Closure handler) { failed = handler }

    void setOnCancelled(Closure handler) { cancelled = handler }
}
