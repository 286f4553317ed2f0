package javafx.scene.control

import javafx.beans.Property

class Label {
    private final Property text = new Property()

    Property textProperty() { text }
}
