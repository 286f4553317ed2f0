package qupath.lib.gui

class QuPathGUI {
    static QuPathGUI instance

    List viewers = []
    Map installed = [:]

    static QuPathGUI getInstance() { instance }

    List getAllViewers() { viewers }

    Object getStage() { null }

    void installGroovyCommand(String menu, File file) { installed[menu] = file.path }
}
