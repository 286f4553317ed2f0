"""What a report of one slide says and shows, gathered once for every form of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from napari_xmag._about import NOTICE, __version__
from napari_xmag.analyze.bars import Band, band_words, class_bars
from napari_xmag.analyze.heatmap import AS_MADE, HeatMapView, MapLook, view_values
from napari_xmag.analyze.result import SlideResult
from napari_xmag.report.model_card import CardExcerpt, card_excerpt
from napari_xmag.report.pictures import MapPictures, map_pictures, place_picture
from napari_xmag.review.evidence import CARRIED, Foremost, foremost
from napari_xmag.review.verdicts import PlaceReview, by_patch
from napari_xmag.slide.base import Slide
from napari_xmag.slide.tissue import TissueMask

Rows = tuple[tuple[str, str], ...]

_MOST_BARS, _LONGEST = 8, 400


@dataclass(frozen=True, slots=True, eq=False)
class ShownPlace:
    """A place of the slide with its picture.

    Attributes
    ----------
    number
        On the map; from 1.
    picture
        JPEG at 10x, or empty where the file cannot be read there.
    value
        What the model says of it, in words.
    where
        Its centre in mm from the corner of the slide.
    verdict
        ``right``, ``wrong`` or empty.
    comment, said_by
        What a person said of it, who and when.
    """

    number: int
    picture: bytes
    value: str
    where: str
    verdict: str = ""
    comment: str = ""
    said_by: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ReportContent:
    """Everything that a report of one slide holds, as words and pictures.

    Attributes
    ----------
    slide, headline
        What it is of, and the answer.
    kind
        ``answer``, ``uncertain`` or ``abstained``.
    reasons, warnings
        Why there is no answer; and what else must be known.
    bars
        Name, probability and decision of the first classes; in words in ``band``.
    maps
        The slide, and its map.
    places, places_words
        Places to look at, and how they were chosen.
    facts, areas, slide_facts, model_facts
        Tables of two columns.
    card
        What the model's card says of how good it is.
    reviewer, date, version, notice
        Who hands this out, when, made by which program, and what for.
    """

    slide: str
    headline: str
    kind: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    bars: tuple[tuple[str, float, Band | None], ...]
    band: tuple[str, ...]
    predicted: str
    maps: MapPictures
    places: tuple[ShownPlace, ...]
    places_words: str
    facts: Rows
    areas: Rows
    slide_facts: Rows
    model_facts: Rows
    card: CardExcerpt
    reviewer: str
    date: str
    version: str = __version__
    notice: str = NOTICE


def report_content(
    slide: Slide,
    result: SlideResult,
    reviews: Iterable[PlaceReview] = (),
    *,
    look: MapLook = AS_MADE,
    reviewer: str = "",
    mask: TissueMask | None = None,
) -> ReportContent:
    """Gather what a report says; reads the slide.

    Parameters
    ----------
    slide
        The slide that was analyzed, still open.
    result
        Its result.
    reviews
        What was said of its places.
    look
        How the map is shown, and for which class the places speak; an empty class stands for the
        predicted one.
    reviewer
        Name on the report.
    mask
        The tissue that was analyzed; see `map_picture`.

    Raises
    ------
    TileReadError
        When the slide cannot be read any more; single places that cannot leave a gap.
    """
    look = look.of(result)
    shown = look.class_name if look.view is HeatMapView.EVIDENCE else ""
    chosen = foremost(result, shown) if len(result.patches) else None
    said = by_patch(result, [review for review in reviews if review.class_name == shown])
    patches = _patches(chosen, said)
    return ReportContent(
        slide=_slide_name(result),
        headline=result.headline,
        kind=_kind(result),
        reasons=result.abstained,
        warnings=tuple(flag.words for flag in result.warnings),
        bars=tuple(class_bars(result)[:_MOST_BARS]),
        band=tuple(band_words(result)),
        predicted=result.answer or "",
        maps=map_pictures(slide, result, look, patches, mask),
        places=_places(slide, result, patches, said, shown),
        places_words=_places_words(chosen, len(patches)),
        facts=_facts(result),
        areas=_areas(result, look.class_name),
        slide_facts=_slide_facts(result),
        model_facts=_model_facts(result),
        card=card_excerpt(result),
        reviewer=reviewer,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
    )


def _kind(result: SlideResult) -> str:
    if result.answer is None:
        return "abstained"
    return "uncertain" if result.uncertain else "answer"


def _slide_name(result: SlideResult) -> str:
    image = result.slide.get("image") or {}
    number = f" #{image['index']}" if image.get("count", 1) > 1 else ""
    return f"{result.slide['path']}{number}"


def _patches(chosen: Foremost | None, said: dict[int, PlaceReview]) -> list[int]:
    """Return the patches to show: the foremost ones, then others of which something was said."""
    first = [] if chosen is None else chosen.patches.tolist()
    return [*first, *sorted(patch for patch in said if patch not in first)]


def _places(
    slide: Slide,
    result: SlideResult,
    patches: Sequence[int],
    said: dict[int, PlaceReview],
    class_name: str,
) -> tuple[ShownPlace, ...]:
    if not patches:
        return ()
    view = HeatMapView.EVIDENCE if class_name else HeatMapView.RAW
    values = view_values(result, view, class_name)
    total = float(values[values > 0].sum())
    shown = []
    for number, patch in enumerate(patches, 1):
        value = float(values[patch])
        words = f"{100 * value / total:.2g} % of " if value > 0 else f"{value:+.2g}, against "
        words += f"the evidence for {class_name}" if class_name else "all attention"
        shown.append(_place(slide, result, number, patch, words, said.get(patch)))
    return tuple(shown)


def _place(
    slide: Slide,
    result: SlideResult,
    number: int,
    patch: int,
    value: str,
    said: PlaceReview | None,
) -> ShownPlace:
    box, mpp = result.patches.box(patch), result.mpp
    x, y = box.center
    where = f"x {x * mpp.x / 1000:.2f} mm, y {y * mpp.y / 1000:.2f} mm"
    picture = place_picture(slide, box, mpp)
    if said is None:
        return ShownPlace(number, picture, value, where)
    said_by = ", ".join(filter(None, (said.reviewer, said.date[:10])))
    return ShownPlace(number, picture, value, where, str(said.verdict or ""), said.comment, said_by)


def _places_words(chosen: Foremost | None, shown: int) -> str:
    if chosen is None or not shown:
        return "No patch stands out."
    if not len(chosen):
        return f"No patch is evidence for {chosen.class_name}."
    what = f"evidence for {chosen.class_name}" if chosen.class_name else "attention"
    words = f"Together, these patches account for {100 * chosen.carried:.0f} % of the {what}."
    return f"{words} {chosen.words}".strip()


def _facts(result: SlideResult) -> Rows:
    return (
        ("Model", result.model_words),
        ("Analyzed", result.tissue_words),
        ("When", _when(result.created)),
    )


def _when(created: str) -> str:
    try:
        return datetime.fromisoformat(created).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return created


def _areas(result: SlideResult, class_name: str) -> Rows:
    patch_mm2 = result.stride_x * result.mpp.x * result.stride_y * result.mpp.y / 1e6
    tissue = result.tissue.get("area_mm2")
    rows = [] if tissue is None else [("Tissue", f"{tissue:.3g} mm²")]
    count = len(result.patches)
    rows.append(("On the map", f"{count * patch_mm2:.3g} mm² in {count:,} patches"))
    if result.is_shares and tissue is not None:
        shares = zip(result.classes, result.probabilities, strict=False)
        rows += [(name, f"{share * tissue:.3g} mm² ({share:.1%})") for name, share in shares]
    few = 0 if result.is_shares or not count else _carrying(result, class_name)
    if few:
        words = f"{few * patch_mm2:.3g} mm² in {few:,} {'patch' if few == 1 else 'patches'}"
        rows.append((f"{CARRIED:.0%} of the evidence for {class_name}", words))
    if result.unreadable:
        rows.append(("Unreadable", f"{len(result.unreadable)} tiles"))
    return tuple(rows)


def _carrying(result: SlideResult, class_name: str) -> int:
    """Return how many patches, the strongest first, carry `CARRIED` of what speaks for a class."""
    values = np.sort(view_values(result, HeatMapView.EVIDENCE, class_name).astype(np.float64))[::-1]
    sums = values[values > 0].cumsum()
    return int(np.searchsorted(sums, CARRIED * sums[-1]) + 1) if len(sums) else 0


def _slide_facts(result: SlideResult) -> Rows:
    slide, mpp = result.slide, result.mpp
    size = f"{slide['width']:,} × {slide['height']:,} px"
    extent = f"{slide['width'] * mpp.x / 1000:.1f} × {slide['height'] * mpp.y / 1000:.1f} mm"
    power = slide.get("objective_power")
    rows = (
        ("Scanner or format", str(slide.get("vendor") or "")),
        ("Pixel size", f"{mpp.mean:.4g} µm ({slide.get('mpp_source', '')})"),
        ("Size", f"{size}, {extent}"),
        ("Objective", f"{power:g}x" if power else ""),
        ("Fingerprint", str(slide["fingerprint"])),
    )
    return tuple((name, words) for name, words in rows if words)


def _shortened(words: str) -> str:
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]} …"


def _model_facts(result: SlideResult) -> Rows:
    model = result.model
    rows = (
        ("Name", str(model["name"])),
        ("SHA-256", str(model["sha256"])),
        ("Classes", _shortened(", ".join(result.classes))),
        ("Input", f"tiles of {model['tile_px']} px at {model['mpp']:g} µm/px"),
        ("Licence", str(model.get("licence") or "")),
        ("Program", f"napari-xmag {result.versions.get('napari-xmag', '')}"),
    )
    return tuple((name, words) for name, words in rows if words)
