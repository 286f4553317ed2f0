package qupath.lib.objects

import javafx.application.Platform

/** An open image: its file, its objects, its place in a project. */
class FakeImage {
    Map builder
    List uris
    boolean rgb = true
    boolean shown
    final FakeHierarchy hierarchy = new FakeHierarchy(this)
    final Map properties2 = [:]

    FakeImage getServer() { this }

    List getURIs() { uris }

    boolean isRGB() { rgb }

    Object getBuilder() { builder == null ? null : [json: builder] }

    FakeHierarchy getHierarchy() { hierarchy }

    void setProperty(String key, Object value) { properties2[key] = value }

    Object removeProperty(String key) { properties2.remove(key) }

    /** What a window shows may only be changed on its own thread. */
    void requireRightThread() {
        if (shown != Platform.isFxApplicationThread()) throw new IllegalStateException('Wrong thread')
    }
}

class FakeHierarchy {
    private final FakeImage image
    final List objects = []
    final List selected = []
    Boolean keptChildren

    FakeHierarchy(FakeImage image) { this.image = image }

    FakeHierarchy getSelectionModel() { this }

    List getSelectedObjects() { selected }

    List getAllObjects(boolean withRoot) { new ArrayList(objects) }

    void removeObjects(Collection removed, boolean keepChildren) {
        image.requireRightThread()
        keptChildren = keepChildren
        objects.removeAll(removed)
    }

    void addObjects(Collection added) {
        image.requireRightThread()
        objects.addAll(added)
    }
}
