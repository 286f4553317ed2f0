"""The lesson that is saved as it is given, so that it is there tomorrow."""

from napari_xmag._gui.shared.notices import tell_warning
from napari_xmag.errors import ResultError
from napari_xmag.teach.saved_lesson import user_lesson
from napari_xmag.teach.session import TeachSession


def reopen_session() -> TeachSession:
    """Take up what was taught last; a damaged file is put aside and told, never overwritten."""
    path = user_lesson()
    try:
        return TeachSession(path)
    except ResultError as error:
        aside = path.with_suffix(".damaged.json")
        try:
            path.replace(aside)
        except OSError:
            tell_warning(f"{error} Examples that you add now will not be saved.")
            return TeachSession(None)
        tell_warning(f"The saved examples could not be read. They were moved to {aside}.")
        return TeachSession(path)
