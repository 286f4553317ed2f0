/*
 * XMAG: analyze the open slide, or the selected annotations on it, and show the answer.
 *
 * Installed by "napari-xmag qupath install"; see docs/qupath.md. Research use only. Not for diagnosis.
 *
 * From the menu or the script editor it shows its progress with a Cancel button. "Run for project" runs
 * it on many images: without questions, with the model that was chosen last.
 *
 * Written in the Groovy that QuPath 0.5 to 0.7 (Groovy 4 and 5) read alike.
 */

import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import groovy.transform.Field
import java.util.concurrent.CompletableFuture
import java.util.concurrent.ExecutionException
import java.util.concurrent.TimeUnit
import javafx.application.Platform
import javafx.concurrent.Task
import javafx.scene.control.ButtonType
import javafx.scene.control.Dialog
import javafx.scene.control.Label
import javafx.scene.control.ProgressBar
import javafx.scene.layout.VBox
import javafx.stage.Modality
import qupath.fx.dialogs.Dialogs
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.prefs.PathPrefs
import qupath.lib.images.servers.ImageServerBuilder
import qupath.lib.images.servers.ImageServers
import qupath.lib.io.GsonTools
import qupath.lib.io.PathIO
import qupath.lib.scripting.QP

// How to start napari-xmag; written by the installer.
@Field List COMMAND = ['napari-xmag']

// A process that says nothing for so long is stopped; it says something twice a second.
@Field long SILENCE_SECONDS = Long.getLong('xmag.silence.seconds', 120L)

@Field String NOTICE = 'Research use only. Not for diagnosis.'

// How annotations of ours are named; one that the person has renamed is theirs.
@Field String OWN_NAME = /XMAG (hotspot \d+|area \d+(: \S+ mm.)?|review \d+(, \d+)?: (right|wrong|comment))/

/** Words for the person, where nothing was analyzed. */
class XmagRefusal extends RuntimeException {
    XmagRefusal(String words) { super(words) }
}

/** The person pressed Cancel. */
class XmagCancelled extends RuntimeException {
    XmagCancelled(String words = 'Cancelled. There is no result.') { super(words) }
}

/** The person chose no model: nothing was begun. */
class XmagDismissed extends XmagCancelled {
    XmagDismissed() { super('Cancelled. Nothing was changed.') }
}

/** Work in the background of the window, with progress. */
class XmagTask extends Task<Object> {
    Closure work

    protected Object call() throws Exception { work.call(this) }

    void tell(String words, Number done, Number total) {
        updateMessage(words)
        // an unknown end is a moving bar
        updateProgress(total > 0 ? (done as double) : -1.0d, total > 0 ? (total as double) : -1.0d)
    }
}

/** Where progress goes when no window shows it: the log. */
class XmagLog {
    String last = ''

    boolean isCancelled() { Thread.currentThread().isInterrupted() }

    void tell(String words, Number done, Number total) {
        def stage = total > 0 ? (int) (10 * done / total) : words
        if (stage.toString() != last) println "XMAG: ${words}"
        last = stage.toString()
    }
}

def gui = QuPathGUI.getInstance()
def imageData = QP.getCurrentImageData()
def project = QP.getProject()
if (isShown(gui, imageData)) {
    def task = startInWindow(gui, imageData, project)
    // from the menu this is the window's own thread, which must not wait
    if (!Platform.isFxApplicationThread()) waitFor(task)
} else if (gui != null && Platform.isFxApplicationThread()) {
    Dialogs.showErrorMessage('XMAG', 'Open a slide first.')
} else {
    println analyzeUnseen(gui, imageData, project).words
}

/** Analyze an image that no viewer shows. */
Map analyzeUnseen(gui, imageData, project) {
    def here = { it.call() }
    noted(imageData, project, here) {
        note(imageData, project, [:], '')
        def result = analyze(imageData, project, lastModel(gui), new XmagLog())
        importResult(imageData, project, result)
        result
    }
}

/** Say whether a viewer shows the image: then all changes belong to the window's own thread. */
boolean isShown(gui, imageData) {
    gui != null && imageData != null && gui.getAllViewers().any { it.getImageData().is(imageData) }
}

XmagTask startInWindow(gui, imageData, project) {
    def task = new XmagTask(work: { task -> analyzeShown(gui, imageData, project, task) })
    onWindow(gui) { showProgress(gui, task) }
    def thread = new Thread(task, 'XMAG')
    thread.setDaemon(true)
    thread.start()
    task
}

/** Wait for work that was started from the script editor, whose "Kill running script" interrupts this. */
void waitFor(XmagTask task) {
    try {
        task.get()
    } catch (InterruptedException e) {
        task.cancel()
        throw e
    } catch (ExecutionException | java.util.concurrent.CancellationException e) {
        println "XMAG: ${e.getCause()?.getMessage() ?: 'Cancelled. There is no result.'}"
    }
}

void showProgress(gui, XmagTask task) {
    def words = new Label()
    words.textProperty().bind(task.messageProperty())
    def bar = new ProgressBar()
    bar.setPrefWidth(420.0d)
    bar.progressProperty().bind(task.progressProperty())
    def dialog = new Dialog()
    dialog.initOwner(gui.getStage())
    dialog.initModality(Modality.NONE)
    dialog.setTitle('XMAG')
    dialog.setHeaderText('Analyzing the slide. Research use only. Not for diagnosis.')
    dialog.getDialogPane().setContent(new VBox(8.0d, words, bar))
    dialog.getDialogPane().getButtonTypes().add(ButtonType.CANCEL)
    // Cancel and the window's cross hide it; so does the end of the work
    dialog.setOnHidden { if (task.isRunning()) task.cancel() }
    task.setOnSucceeded { dialog.hide() }
    task.setOnFailed { dialog.hide() }
    task.setOnCancelled { dialog.hide() }
    dialog.show()
}

Object analyzeShown(gui, imageData, project, XmagTask task) {
    def there = { onWindow(gui, it) }
    try {
        def result = noted(imageData, project, there) {
            def model = chooseModel(task)
            there { note(imageData, project, [:], '') }
            def found = analyze(imageData, project, model, task)
            if (!isShown(gui, imageData))
                throw new XmagRefusal("The image was closed in the meantime. Open it again and drag ${found.file} onto it.")
            if (task.isCancelled()) throw new XmagCancelled()
            there { importResult(imageData, project, found) }
            found
        }
        Dialogs.showInfoNotification('XMAG', result.words)
        result
    } catch (XmagCancelled e) {
        throw e
    } catch (InterruptedException e) {
        throw new XmagCancelled()
    } catch (Exception e) {
        Dialogs.showErrorMessage('XMAG', e.getMessage() ?: e.toString())
        throw e
    }
}

/** Run a closure on the window's thread and wait for it. */
Object onWindow(gui, Closure work) {
    if (gui == null || Platform.isFxApplicationThread()) return work.call()
    def done = new CompletableFuture()
    Platform.runLater({
        try { done.complete(work.call()) } catch (Throwable e) { done.completeExceptionally(e) }
    } as Runnable)
    try {
        return done.get()
    } catch (ExecutionException e) {
        throw e.getCause()
    }
}

// ---- the model

Object preference() { PathPrefs.createPersistentPreference('xmagModel', '') }

String lastModel(gui) { gui == null ? '' : (preference().get() ?: '') }

/** Ask for the model where there is more than one; an empty name is the default. */
String chooseModel(task) {
    task.tell('Looking for models', 0, 0)
    def names = []
    def failure = runProcess(COMMAND + ['models', 'list', '--json'], task) { line ->
        names = readJson(line)?.models?.findAll { !it.problem }?.collect { it.name } ?: names
    }
    if (failure) throw new XmagRefusal(failure)
    if (names.size() < 2) return ''
    def last = preference().get()
    def chosen = Dialogs.showChoiceDialog('XMAG', 'Model', names, last in names ? last : names[0])
    if (chosen == null) throw new XmagDismissed()
    preference().set(chosen)
    chosen
}

// ---- the analysis

/** Run napari-xmag on an image; return the folder, the file for QuPath, and what it says. */
Map analyze(imageData, project, String model, progress) {
    def server = requirePlain(imageData)
    def scratch = File.createTempDir('xmag', '')
    try {
        def description = new File(scratch, 'server.json')
        description.setText(describe(server, project, imageData), 'UTF-8')
        def out = outputFolder(project)
        def command = COMMAND + ['analyze', description.path, '--out', out.path, '--progress', 'json']
        if (model) command += ['--model', model]
        command += regionOptions(imageData, scratch)
        def finished = null
        def failed = null
        def failure = runProcess(command, progress) { line ->
            def event = readJson(line)
            if (event?.event == 'finished') finished = event
            if (event?.event == 'failed') failed = event.message
            if (event != null) tell(progress, event)
        }
        if (failed || failure) throw new XmagRefusal(failed ?: failure)
        if (finished == null) throw new XmagRefusal('napari-xmag ended without a result.')
        return resultOf(finished)
    } finally {
        scratch.deleteDir()
    }
}

Object requirePlain(imageData) {
    if (imageData == null) throw new XmagRefusal('Open a slide first.')
    def server = imageData.getServer()
    def uris = server.getURIs()
    if (uris.size() != 1)
        throw new XmagRefusal("This image comes from ${uris.size()} files; XMAG reads only slides stored in a single file.")
    if (!server.isRGB())
        throw new XmagRefusal('This image is not RGB: XMAG reads stained brightfield slides.')
    if (server.getBuilder() == null)
        throw new XmagRefusal('QuPath cannot say which file this image comes from; analyze the original.')
    server
}

/** Return how QuPath itself writes an image into a project; napari-xmag checks size, series and changes. */
String describe(server, project, imageData) {
    // loading this class teaches Gson how builders are written, which opening a file may not have done
    ImageServers.getServerBuilderFactory()
    def builder = GsonTools.getInstance().toJson(server.getBuilder(), ImageServerBuilder.ServerBuilder.class)
    def entry = project?.getEntry(imageData)
    if (entry == null) return builder
    // two images may show one file, of one project or of several: each has a result of its own
    def id = JsonOutput.toJson(entry.getID().toString())
    "{\"entryID\": ${id}, \"project\": ${JsonOutput.toJson(aboutProject(project))}, \"serverBuilder\": ${builder}}".toString()
}

/** Return what tells a project from others; null where it lies nowhere. */
Map aboutProject(project) {
    def path = project.getPath()
    if (path == null) return null
    [path: path.toString(), created: project.getCreationTimestamp(), previous: project.getPreviousURI()?.toString()]
}

/** Return where results lie: beside the project, or where napari keeps them; temporary files would be gone one day. */
File outputFolder(project) {
    def path = project?.getPath()
    path == null ? new File(System.getProperty('user.home'), 'xmag-results') : new File(path.toFile().getParentFile(), 'xmag')
}

/** Write the selected annotations to a file; return the options that name it. */
List regionOptions(imageData, File scratch) {
    // the root has no outline
    def chosen = imageData.getHierarchy().getSelectionModel().getSelectedObjects().findAll { it.isAnnotation() || it.hasROI() }
    def selected = chosen.findAll { it.isAnnotation() && it.hasROI() && it.getROI().isArea() && !isOurs(it) }
    if (chosen && !selected)
        throw new XmagRefusal('What is selected is no annotation with an area (but points, lines, TMA cores or ' +
            'detections), or is of XMAG itself. Select your own annotations, or nothing for the whole slide.')
    if (!selected) return []
    def file = new File(scratch, 'selected.geojson')
    PathIO.exportObjectsAsGeoJSON(file, selected, PathIO.GeoJsonExportOptions.FEATURE_COLLECTION)
    // whoever selects an annotation means it, starred class or not
    ['--regions', file.path, '--regions-class', '*']
}

Map resultOf(finished) {
    def file = new File(finished.folder, 'qupath.geojson.gz')
    def metadata = finished.qupath.metadata
    [
        file: file,
        objects: objectsIn(file),
        metadata: metadata,
        line: finished.qupath.description,
        words: "${finished.qupath.description}\nModel: ${metadata['XMAG model']}".toString(),
    ]
}

/** Read the objects of a result; of a large slide that takes long, so never on the window's own thread. */
List objectsIn(File file) {
    if (!file.isFile())
        throw new XmagRefusal("The analysis ended, but its file for QuPath is missing: ${file}. Analyze the slide again.")
    try {
        return PathIO.readObjects(file.toPath())
    } catch (IOException | RuntimeException e) {
        throw new XmagRefusal("The file for QuPath cannot be read: ${file} (${e.getMessage() ?: e}). Analyze the slide again.")
    }
}

void tell(progress, event) {
    def done = event.done ?: 0
    def total = event.total ?: 0
    if (event.event == 'tiles') {
        def rest = (event.seconds_left as double) as int
        progress.tell("${done} of ${total} tiles, ${rest} s left", done, total)
    } else if (event.event == 'waiting') {
        progress.tell(event.stage.capitalize(), done, total)
    } else if (event.event == 'planned') {
        progress.tell("${event.tiles} tiles planned", 0, 0)
    }
}

// ---- the process

/**
 * Run a command, handing each line of its standard output on; return why it failed, or null.
 *
 * It is killed when the person cancels, when this thread is interrupted, and when it falls silent.
 */
String runProcess(List command, progress, Closure listen) {
    def builder = new ProcessBuilder(command.collect { it.toString() })
    builder.environment().put('PYTHONUTF8', '1')
    def process
    try {
        process = builder.start()
    } catch (IOException e) {
        return "napari-xmag cannot be started (${e.getMessage()}). Run 'napari-xmag qupath install' again."
    }
    def spoke = new java.util.concurrent.atomic.AtomicLong(System.nanoTime())
    def errors = Collections.synchronizedList([])
    def readers = [
        reader(process.getErrorStream()) { errors << it },
        reader(process.getInputStream()) { line -> spoke.set(System.nanoTime()); listen.call(line) },
    ]
    try {
        while (!process.waitFor(100, TimeUnit.MILLISECONDS)) {
            if (progress.isCancelled()) throw new XmagCancelled()
            if (System.nanoTime() - spoke.get() > SILENCE_SECONDS * 1000000000L)
                return "napari-xmag has not responded for ${SILENCE_SECONDS} seconds and was stopped."
        }
        readers.each { it.join() }
    } catch (InterruptedException e) {
        Thread.currentThread().interrupt()
        throw new XmagCancelled()
    } finally {
        kill(process)
    }
    process.exitValue() == 0 ? null : lastWords(errors, process.exitValue())
}

Thread reader(InputStream stream, Closure listen) {
    def thread = new Thread({
        try {
            stream.eachLine('UTF-8') { String line -> listen.call(line) }
        } catch (IOException e) {
            // the process was killed
        }
    } as Runnable, 'XMAG reader')
    thread.setDaemon(true)
    thread.start()
    thread
}

/** Stop a process and what it started: a launcher may only be the parent of the real one. */
void kill(Process process) {
    if (!process.isAlive()) return
    // an interrupted thread could not wait
    def interrupted = Thread.interrupted()
    def children = process.toHandle().descendants().iterator().collect { it }
    process.destroy()
    children.each { it.destroy() }
    if (!process.waitFor(5, TimeUnit.SECONDS)) process.destroyForcibly()
    children.each { it.destroyForcibly() }
    if (interrupted) Thread.currentThread().interrupt()
}

String lastWords(List errors, int code) {
    def words = errors.findAll { it.trim() }
    words ? words.takeRight(3).join('\n') : "napari-xmag ended with code ${code}.".toString()
}

Map readJson(String line) {
    try {
        def value = new JsonSlurper().parseText(line)
        return value instanceof Map ? value : null
    } catch (groovy.json.JsonException | IllegalArgumentException e) {
        return null  // a line that is no event
    }
}

// ---- the result

/** Replace what an earlier run left with the result; all else stays as it is. */
void importResult(imageData, project, Map result) {
    def hierarchy = imageData.getHierarchy()
    def earlier = hierarchy.getAllObjects(false).findAll { isOurs(it) }
    // the user's own objects within an earlier hotspot stay
    hierarchy.removeObjects(earlier, true)
    hierarchy.addObjects(result.objects)
    note(imageData, project, result.metadata, result.line)
}

// ---- what stands beside the image

/** Do the work of a run; where it fails, say so in place of what an earlier run said. */
Object noted(imageData, project, Closure place, Closure work) {
    try {
        return work.call()
    } catch (XmagDismissed e) {
        throw e
    } catch (Exception e) {
        // an interrupted thread could neither wait nor write
        def interrupted = Thread.interrupted()
        try {
            place.call { note(imageData, project, metadataOf(imageData, e), "XMAG: ${failureOf(e)}. ${NOTICE}".toString()) }
        } catch (Exception another) {
            e.addSuppressed(another)
        } finally {
            if (interrupted) Thread.currentThread().interrupt()
        }
        throw e
    }
}

String failureOf(Exception error) {
    def cancelled = error instanceof XmagCancelled || error instanceof InterruptedException
    cancelled ? 'The analysis was cancelled' : 'The analysis failed'
}

Map metadataOf(imageData, Exception error) {
    def why = (error.getMessage() ?: error.toString()).split(/\s+/).join(' ')
    def earlier = imageData?.getHierarchy()?.getAllObjects(false)?.any { isOurs(it) }
    if (earlier) why += ' What XMAG shows on the image is of an earlier run.'
    ['XMAG prediction': failureOf(error), 'XMAG warnings': why, 'XMAG notice': NOTICE]
}

/** Replace what an earlier run wrote beside the image: its metadata, and its line of the description. */
void note(imageData, project, Map metadata, String line) {
    if (imageData == null) return
    if (metadata) imageData.setProperty('XMAG', JsonOutput.toJson(metadata))
    else imageData.removeProperty('XMAG')
    def entry = project?.getEntry(imageData)
    if (entry == null) return
    def old = new ArrayList(entry.getMetadataKeys()).collectEntries { [it, entry.getMetadataValue(it)] }
    def ours = ownKeys(old, entry.getDescription() ?: '')
    ours.each { entry.removeMetadataValue(it) }
    withList(metadata, old.keySet() - ours).each { key, value -> entry.putMetadataValue(key, value) }
    // blank lines at the end are the person's too
    def lines = entry.getDescription() ? entry.getDescription().split('\n', -1).toList() : []
    def own = lines.findAll { !isOurLine(it) }
    if (line || own.size() < lines.size()) entry.setDescription((line ? own + [line] : own).join('\n'))
    project.syncChanges()
}

// The rules below are those of the command line, which writes into closed projects.

/** Say whether a key is one of those that are always ours. */
boolean isNamed(String key) {
    ['prediction', 'model', 'warnings', 'analyzed', 'notice', 'classes'].any { key == "XMAG ${it}".toString() }
}

/** Return the keys that are ours: the named ones, and those of classes that are listed with their values. */
Set ownKeys(Map old, String description) {
    def listed = 'XMAG classes' in old ? (readJson(old['XMAG classes'].toString()) ?: [:]) : null
    old.findAll { key, value ->
        isNamed(key) || (listed != null ? key in listed && listed[key] == value : wasOurs(key, value, old, description))
    }.keySet()
}

/** Say whether a version that listed nothing wrote a key: it named the class elsewhere, too. */
boolean wasOurs(String key, value, Map old, String description) {
    if (!key.startsWith('XMAG ') || !(value ==~ /[01]\.\d{3}/)) return false
    def name = key.substring('XMAG '.length()) - ~/^class /
    def lines = description.split('\n', -1).findAll { isOurLine(it) }
    lines.any { it.contains("(${name} ${value}") || it.contains(", ${name} ${value}") } || old['XMAG prediction'] == name
}

/** Return what is written: a class whose key the person has taken gets another, and all are listed. */
Map withList(Map metadata, Set taken) {
    def classes = freed(metadata.findAll { !isNamed(it.key) }, taken)
    def named = metadata.findAll { isNamed(it.key) }
    classes ? named + classes + ['XMAG classes': JsonOutput.toJson(classes)] : named
}

/** Return values under keys that are neither the person's nor one another's. */
Map freed(Map shares, Set taken) {
    def used = new HashSet(taken + shares.keySet())
    shares.collectEntries { key, value ->
        def free = key in taken ? freeKey(key, used) : key
        used << free
        [free, value]
    }
}

String freeKey(String key, Set taken) {
    def name = key.substring('XMAG '.length()) - ~/^class /
    def free = key
    for (int number = 1; free in taken; number++) free = "XMAG class ${name}${number == 1 ? '' : ' ' + number}".toString()
    free
}

boolean isOurLine(String line) { line.startsWith('XMAG: ') && (line - ~/\r+$/).endsWith(NOTICE) }

boolean isOurs(object) {
    def name = object.getName() ?: ''
    def pathClass = object.getPathClass()?.toString() ?: ''
    // our patches have no class: one that the person has given one is theirs
    if (object.isTile()) return pathClass in ['', 'Unclassified'] && name ==~ /XMAG patch \d+, \d+/
    def ofClass = pathClass == 'XMAG' || pathClass.startsWith('XMAG:')
    object.isAnnotation() && ofClass && name ==~ OWN_NAME
}
