package qupath.lib.images.servers

interface ImageServerBuilder {
    static interface ServerBuilder {}
}
