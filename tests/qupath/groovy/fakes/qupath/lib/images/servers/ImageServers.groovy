package qupath.lib.images.servers

/** Loading it registers how builders are written, as in QuPath. */
class ImageServers {
    static boolean registered

    static Object getServerBuilderFactory() { registered = true }
}
