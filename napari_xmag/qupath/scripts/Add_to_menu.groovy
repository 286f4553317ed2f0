/*
 * XMAG: put "Extensions > XMAG > Analyze slide" into the menu.
 *
 * Run it once: it becomes QuPath's startup script, so that the menu is there next time too. Where there
 * is another startup script already, it says which line to add to that one.
 */

import qupath.fx.dialogs.Dialogs
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.prefs.PathPrefs

// Where the scripts of XMAG lie; written by the installer.
def FOLDER = '.'

def me = new File(FOLDER, 'Add_to_menu.groovy')
QuPathGUI.getInstance().installGroovyCommand('Extensions>XMAG>Analyze slide', new File(FOLDER, 'Analyze_slide.groovy'))

def startup = PathPrefs.startupScriptProperty()
def set = startup.get()
if (!set || !new File(set).exists()) {
    startup.set(me.path)
    Dialogs.showInfoNotification('XMAG', 'Extensions > XMAG > Analyze slide is in the menu, from now on.')
} else if (new File(set).canonicalFile != me.canonicalFile && !new File(set).text.contains(me.name)) {
    def line = "evaluate(new File('${me.path.replace('\\', '\\\\').replace("'", "\\'")}'))"
    Dialogs.showInfoNotification('XMAG', "For the menu to be there next time, add to ${set}:\n${line}")
}
