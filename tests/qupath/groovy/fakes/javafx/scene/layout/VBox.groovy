package javafx.scene.layout

class VBox {
    final List children

    VBox(double spacing, Object... children) { this.children = children as List }
}
