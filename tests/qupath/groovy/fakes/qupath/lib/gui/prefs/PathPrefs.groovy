package qupath.lib.gui.prefs

import javafx.beans.Property

class PathPrefs {
    static final Map<String, Property> preferences = [:]
    static final Property startup = new Property()

    static Property createPersistentPreference(String name, String value) {
        if (!preferences.containsKey(name)) preferences[name] = new Property(value: value)
        preferences[name]
    }

    static Property startupScriptProperty() { startup }
}
