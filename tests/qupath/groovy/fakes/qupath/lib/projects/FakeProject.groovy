package qupath.lib.projects

import java.nio.file.Path

class FakeProject {
    Path path
    Map<String, String> metadata = [:]
    String description
    int synced

    Path getPath() { path }

    Object getEntry(Object imageData) { this }

    String getID() { '7' }

    long getCreationTimestamp() { 1795637798376L }

    URI getPreviousURI() { new URI('file:/before/project.qpproj') }

    String getMetadataValue(String key) { metadata[key] }

    Collection getMetadataKeys() { metadata.keySet() }

    void removeMetadataValue(String key) { metadata.remove(key) }

    void putMetadataValue(String key, String value) { metadata[key] = value }

    void syncChanges() { synced++ }
}
