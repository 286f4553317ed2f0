package qupath.lib.scripting

class QP {
    static Object imageData
    static Object project

    static Object getCurrentImageData() { imageData }

    static Object getProject() { project }
}
