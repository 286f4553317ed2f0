package qupath.fx.dialogs

/** Records what was said, and answers as the test wants. */
class Dialogs {
    static final List said = Collections.synchronizedList([])
    static Closure choose = { names, last -> last }

    static void showErrorMessage(String title, String message) { said << [kind: 'error', words: message] }

    static void showInfoNotification(String title, String message) { said << [kind: 'info', words: message] }

    static Object showChoiceDialog(String title, String message, Collection choices, Object last) {
        said << [kind: 'choice', words: choices.join(', ')]
        choose.call(choices, last)
    }
}
