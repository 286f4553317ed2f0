package javafx.scene.control

class ButtonType {
    static final ButtonType CANCEL = new ButtonType()
}
