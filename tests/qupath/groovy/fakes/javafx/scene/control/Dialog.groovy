package javafx.scene.control

import javafx.application.Platform

/** Records itself; hiding it calls its handler, as pressing Cancel does. */
class Dialog {
    static final List<Dialog> shown = Collections.synchronizedList([])

    final Map pane = [buttons: [], content: null]
    private Closure hidden
    boolean showing

    Dialog() { requireWindow() }

    private static void requireWindow() {
        if (!Platform.isFxApplicationThread()) throw new IllegalStateException('Not on the window thread')
    }

    void initOwner(Object stage) {}

    void initModality(Object modality) {}

    void setTitle(String title) {}

    void setHeaderText(String text) {}

    Object getDialogPane() { new Pane(this) }

    void setOnHidden(Closure handler) { hidden = handler }

    void show() {
        requireWindow()
        showing = true
        shown << this
    }

    void hide() {
        requireWindow()
        if (!showing) return
        showing = false
        hidden?.call(null)
    }

    static class Pane {
        private final Dialog dialog

        Pane(Dialog dialog) { this.dialog = dialog }

        void setContent(Object content) { dialog.pane.content = content }

        List getButtonTypes() { dialog.pane.buttons }
    }
}
