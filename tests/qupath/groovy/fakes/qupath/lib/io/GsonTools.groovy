package qupath.lib.io

import groovy.json.JsonOutput
import qupath.lib.images.servers.ImageServerBuilder
import qupath.lib.images.servers.ImageServers

class GsonTools {
    static GsonTools getInstance() { new GsonTools() }

    /** QuPath names the type of a builder only when it is asked for this very class. */
    String toJson(Object builder, Class type) {
        assert type == ImageServerBuilder.ServerBuilder
        JsonOutput.toJson(ImageServers.registered ? builder.json : [:])
    }
}
