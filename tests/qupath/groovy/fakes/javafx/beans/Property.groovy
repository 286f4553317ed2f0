package javafx.beans

/** A value that tells those bound to it. */
class Property {
    private final List bound = []
    Object value

    void set(Object value) {
        this.value = value
        bound.each { it.set(value) }
    }

    Object get() { value }

    void bind(Property other) {
        other.bound << this
        set(other.value)
    }
}
