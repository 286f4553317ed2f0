"""When a result gives no answer: what makes a prediction worthless, whatever its numbers say."""

from collections.abc import Sequence

from napari_xmag.analyze.flags import Flag, FlagCode

NO_ANSWER = "No reliable prediction"
"""The headline of a result that abstains."""

MOST_UNREADABLE = 0.5
"""Where more than this part of the tiles is lost, the rest does not speak for the slide."""

_NOTHING = "No tile was analyzed, so there is no prediction."

_WORTHLESS = frozenset(
    (
        FlagCode.NO_TISSUE,
        FlagCode.LITTLE_TISSUE,
        FlagCode.NOTHING_READABLE,
        FlagCode.DEGENERATE_MAP,
        FlagCode.OUT_OF_RANGE,
        FlagCode.TOO_COARSE,
    )
)


def deciding_flags(flags: Sequence[Flag], *, sample: bool, mostly_lost: bool) -> tuple[Flag, ...]:
    """Return the flags because of which no answer is given; the others are warnings.

    Parameters
    ----------
    flags
        Of the result.
    sample
        Whether the program made the slide: on it, a demonstration model may say what it likes.
    mostly_lost
        Whether more than `MOST_UNREADABLE` of the tiles could not be read.
    """
    worthless = set(_WORTHLESS)
    if not sample:
        worthless.add(FlagCode.DEMONSTRATION)
    if mostly_lost:
        worthless.add(FlagCode.UNREADABLE_TILES)
    return tuple(flag for flag in flags if flag.code in worthless)


def reasons(deciding: Sequence[Flag], *, predicted: bool) -> tuple[str, ...]:
    """Return why no answer is given, in sentences; empty where one is."""
    if deciding:
        return tuple(flag.words for flag in deciding)
    return () if predicted else (_NOTHING,)
