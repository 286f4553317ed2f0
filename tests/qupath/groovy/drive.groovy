/*
 * Plays QuPath around the script: reads scenarios as JSON from the file named first, runs the script in
 * each, and writes what came of them to the file named second.
 */

import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import java.nio.file.Paths
import javafx.application.Platform
import javafx.scene.control.Dialog
import qupath.fx.dialogs.Dialogs
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.prefs.PathPrefs
import qupath.lib.images.servers.ImageServerBuilder
import qupath.lib.objects.FakeImage
import qupath.lib.objects.FakeObject
import qupath.lib.projects.FakeProject
import qupath.lib.scripting.QP

def play(Map scenario) {
    Dialogs.said.clear()
    Dialog.shown.clear()
    Dialogs.choose = { names, last -> scenario.choose == 'nothing' ? null : (scenario.choose ?: last) }
    def image = new FakeImage(builder: scenario.builder, uris: scenario.uris, rgb: scenario.rgb != false, shown: scenario.shown)
    image.hierarchy.objects.addAll(scenario.objects.collect { FakeObject.of(it) })
    image.hierarchy.selected.addAll(scenario.selected.collect { FakeObject.of(it) })
    QuPathGUI.instance = scenario.window ? new QuPathGUI() : null
    def viewer = [getImageData: { image }] as FakeViewer
    if (scenario.shown) QuPathGUI.instance.viewers << viewer
    QP.imageData = scenario.image == false ? null : image
    QP.project = scenario.project ? new FakeProject(path: Paths.get(scenario.project), metadata: new LinkedHashMap(scenario.metadata ?: [:]), description: scenario.description) : null
    def thrown = run(scenario, image)
    [
        thrown: thrown,
        said: new ArrayList(Dialogs.said),
        objects: image.hierarchy.objects.collect { it.feature },
        keptChildren: image.hierarchy.keptChildren,
        property: image.properties2['XMAG'],
        metadata: QP.project?.metadata,
        description: QP.project?.description,
        synced: QP.project?.synced,
        dialogs: Dialog.shown.size(),
        open: Dialog.shown.count { it.showing },
        words: words,
        installed: QuPathGUI.instance?.installed,
        startup: PathPrefs.startup.get(),
    ]
}

interface FakeViewer {
    Object getImageData()
}

words = []

/** Run the script where QuPath would; return what it threw. */
def run(Map scenario, image) {
    words = []
    if (scenario.startup != null) PathPrefs.startup.set(scenario.startup)
    def script = { new GroovyShell(this.class.classLoader).evaluate(new File(scenario.script)) }
    def watcher = watch(scenario, image)
    try {
        if (scenario.thread == 'window') {
            Platform.runAndWait(script)
            // the menu gives the window back at once; the work ends later
            awaitEnd()
        } else {
            def error = null
            def runner = new Thread({ try { script.call() } catch (Throwable e) { error = e } } as Runnable, 'editor')
            runner.start()
            if (scenario.kill) { until { words.any { it =~ /of \d+ tiles/ } }; runner.interrupt() }
            runner.join()
            if (error != null) throw error
        }
        return null
    } catch (Throwable error) {
        return "${error.getClass().getSimpleName()}: ${(error.getCause() ?: error).getMessage()}".toString()
    } finally {
        watcher.interrupt()
        watcher.join()
        // who pressed Cancel has the window back at once; what is noted of it comes later
        Thread.getAllStackTraces().keySet().findAll { it.name == 'XMAG' }.each { it.join(30000) }
        // the window closes the dialog a moment after the work has ended; one that stays is a fault
        for (int i = 0; i < 1000 && Dialog.shown.any { it.showing }; i++) Thread.sleep(5)
    }
}

/** Note what the progress dialog says; press Cancel, or close the image, when tiles are being read. */
def watch(Map scenario, image) {
    def thread = new Thread({
        try {
            while (true) {
                def dialog = Dialog.shown ? Dialog.shown[-1] : null
                def said = dialog?.pane?.content?.children?.getAt(0)?.textProperty()?.get()
                if (said && (!words || words[-1] != said)) words << said
                if (said =~ /of \d+ tiles/) {
                    if (scenario.cancel) Platform.runAndWait { dialog.hide() }
                    if (scenario.close) QuPathGUI.instance.viewers.clear()
                }
                Thread.sleep(5)
            }
        } catch (InterruptedException e) {
            // the scenario is over
        }
    } as Runnable, 'watcher')
    thread.setDaemon(true)
    thread.start()
    thread
}

def awaitEnd() { until { Dialog.shown.isEmpty() ? !Dialogs.said.isEmpty() : Dialog.shown.every { !it.showing } } }

def until(Closure reached) { while (!reached.call()) Thread.sleep(5) }

// compiled before a script names the class within it
assert ImageServerBuilder.getClasses()

def outcomes = new JsonSlurper().parse(new File(args[0]), 'UTF-8').collectEntries { name, scenario -> [name, play(scenario)] }
new File(args[1]).setText(JsonOutput.toJson(outcomes), 'UTF-8')
System.exit(0)
