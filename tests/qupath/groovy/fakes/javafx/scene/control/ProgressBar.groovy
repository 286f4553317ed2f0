package javafx.scene.control

import javafx.beans.Property

class ProgressBar {
    private final Property progress = new Property()

    Property progressProperty() { progress }

    void setPrefWidth(double width) {}
}
