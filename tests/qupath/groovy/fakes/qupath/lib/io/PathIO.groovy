package qupath.lib.io

import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import java.nio.file.Files
import java.nio.file.Path
import java.util.zip.GZIPInputStream
import javafx.application.Platform
import qupath.lib.objects.FakeObject

class PathIO {
    enum GeoJsonExportOptions { FEATURE_COLLECTION, PRETTY_JSON }

    /** The window must go on while a large file is read. */
    static List readObjects(Path path) {
        if (Platform.isFxApplicationThread()) throw new IllegalStateException('Read on the window\'s own thread')
        def stream = Files.newInputStream(path)
        if (path.toString().endsWith('.gz')) stream = new GZIPInputStream(stream)
        new JsonSlurper().parse(stream, 'UTF-8').features.collect { FakeObject.of(it) }
    }

    static void exportObjectsAsGeoJSON(File file, Collection objects, GeoJsonExportOptions... options) {
        def features = objects.collect { it.feature }
        file.setText(JsonOutput.toJson([type: 'FeatureCollection', features: features]), 'UTF-8')
    }
}
