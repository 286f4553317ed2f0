"""The bars of a result: a probability for each class, and where the decision lies on it."""

from dataclasses import dataclass

from napari_xmag.analyze.result import SlideResult
from napari_xmag.nets.decision import uncertain_band


@dataclass(frozen=True, slots=True)
class Band:
    """Where the decision lies on the bar of a class, as probabilities.

    Attributes
    ----------
    threshold
        The class is predicted above it.
    low, high
        Between them it is uncertain.
    """

    threshold: float
    low: float
    high: float


def class_bars(result: SlideResult) -> list[tuple[str, float, Band | None]]:
    """Return name, calibrated probability and decision of each class.

    Of two classes, the one that the threshold is about comes first, whatever its probability: its
    bar and the mark on it show why the answer is what it is. Of more, and of shares of the tissue,
    the largest is first.
    """
    bars = list(zip(result.classes, result.probabilities, strict=False))
    if _has_threshold(result):
        (other, rest), (asked, share) = bars
        band = Band(result.threshold, *uncertain_band(result.threshold))
        return [(asked, share, band), (other, rest, None)]
    return [(name, share, None) for name, share in sorted(bars, key=lambda bar: -bar[1])]


def band_words(result: SlideResult) -> list[str]:
    """Return what the bars mean, in sentences; empty where the likeliest of many is chosen."""
    if result.is_shares and result.probabilities:
        return ["Each bar shows the share of the analyzed tissue that is assigned to the class."]
    if not _has_threshold(result):
        return []
    low, high = uncertain_band(result.threshold)
    return [
        f"The mark is the threshold: {result.classes[1]} above {100 * result.threshold:.3g} %, "
        f"uncertain from {100 * low:.0f} to {100 * high:.0f} %."
    ]


def _has_threshold(result: SlideResult) -> bool:
    return len(result.classes) == 2 and bool(result.probabilities) and not result.is_shares
