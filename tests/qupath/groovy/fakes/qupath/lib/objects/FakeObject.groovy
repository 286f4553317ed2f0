package qupath.lib.objects

/** An object of any kind, made from its GeoJSON. */
class FakeObject {
    Map feature

    static FakeObject of(Map feature) { new FakeObject(feature: feature) }

    private Map getProperties2() { feature.properties ?: [:] }

    boolean isTile() { properties2.objectType == 'tile' }

    boolean isAnnotation() { properties2.objectType == 'annotation' }

    String getName() { properties2.name }

    Object getPathClass() {
        def stated = properties2.classification
        stated == null ? null : (stated.names ? stated.names.join(': ') : stated.name)
    }

    boolean hasROI() { feature.geometry as boolean }

    Object getROI() { [isArea: { feature.geometry.type.contains('Polygon') }] as FakeROI }
}

interface FakeROI {
    boolean isArea()
}
