"""One tree of errors: each says what was expected, what was found, and what to do."""

from collections.abc import Sequence

from napari_xmag.printable import printable


class XmagError(Exception):
    """Base of all errors that napari-xmag raises on purpose.

    Parameters
    ----------
    expected, found, hint
        Three short clauses for the person who reads it: what the program needed, what it got, and
        what to do now. The message is "Expected {expected}, but found {found}. {hint}".
    causes
        Errors that led here, all of them kept (for instance one for each backend tried).
    """

    def __init__(
        self, *, expected: str, found: str, hint: str, causes: Sequence[BaseException] = ()
    ) -> None:
        self.expected = expected
        self.found = found
        self.hint = hint
        self.causes = tuple(causes)
        words = f"Expected {expected}, but found {found}. {hint}"
        super().__init__(printable(words, keep="\n\t"))  # names in it may be anybody's

    def __reduce__(self) -> tuple[object, ...]:
        """Go from process to process; the causes go as their words."""
        causes = tuple(RuntimeError(f"{type(cause).__name__}: {cause}") for cause in self.causes)
        return _remade, (type(self), self.expected, self.found, self.hint, causes)

    def details(self) -> str:
        """Return the message followed by one line for each cause, for the log."""
        lines = [f"  {type(cause).__name__}: {cause}" for cause in self.causes]
        return "\n".join([str(self), *lines])


def shortened(words: str, most: int = 500) -> str:
    """Return words of others, which may be as long as a file, in a length to be read."""
    return words if len(words) <= most else f"{words[:most]} …"


def _remade(
    kind: type[XmagError], expected: str, found: str, hint: str, causes: Sequence[BaseException]
) -> XmagError:
    return kind(expected=expected, found=found, hint=hint, causes=causes)


class GeometryError(XmagError, ValueError):
    """A box, level or mpp that cannot be."""


class SlideOpenError(XmagError, OSError):
    """No backend could open the file."""


class MppMissingError(XmagError, ValueError):
    """The slide states no pixel size and the caller gave none."""


class TileReadError(XmagError, OSError):
    """A region of the slide could not be decoded."""


class TissueError(XmagError, ValueError):
    """A tissue mask or region file that does not fit the slide."""


class ModelError(XmagError, ValueError):
    """A model folder that is missing, altered, incomplete or unsuitable."""


class GraphError(ModelError):
    """A network that cannot run as a graph; PyTorch can still run it."""


class ConfigError(XmagError, ValueError):
    """A setting out of its range."""


class CohortError(XmagError, ValueError):
    """A table of labelled slides that cannot be trained on."""


class ProjectError(XmagError, ValueError):
    """A QuPath project or picture that cannot be read, placed or written back."""


class EmptyProjectError(ProjectError, ConfigError):
    """A QuPath project without an image."""


class TeachError(XmagError, ValueError):
    """Examples that cannot teach a classifier yet."""


class ResultError(XmagError, ValueError):
    """A saved result that cannot be loaded, or does not belong to this slide."""


class WorkerError(XmagError, RuntimeError):
    """A worker process that died, hung or could not be started."""


class DependencyError(XmagError, ImportError):
    """A package is missing that only one of the installation's extras brings."""


class ExportError(XmagError, OSError):
    """An export that could not be written; nothing half-written is left."""
