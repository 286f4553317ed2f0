"""Which DICOM files belong to one slide: one picture with its levels and planes, and its label."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.agreement import comparison, shows_other_plane
from napari_xmag.slide.dicom.header import DicomHeader, read_dicom_header
from napari_xmag.slide.dicom.instances import Instance, read_instance, without_copies
from napari_xmag.slide.dicom.levels import DicomLevel, group_parts, plane_depths, segment_level
from napari_xmag.slide.scale import TOO_FEW_PX, Placed, Scales, place_levels
from napari_xmag.slide.segments import DECODE_ERRORS

# A coarser picture has pixels at least so much larger.
_COARSER = 1.1
# Where two pictures begin on the glass may differ by so many coarse pixels, or this share of the
# slide, and they show one place all the same.
_NEAR_PX, _NEAR_SHARE = 2.0, 0.02


@dataclass(frozen=True, slots=True)
class DicomSeries:
    """Files of one slide, the largest first, its label and overviews last.

    Attributes
    ----------
    uid
        Of the series, with what else tells its slides apart; several pictures of a series that
        states nothing more share it.
    """

    uid: str
    files: tuple[Path, ...]


def dicom_series(files: Iterable[Path]) -> tuple[DicomSeries, ...]:
    """Return the files grouped by slide, in the order of their first names.

    Files that are no whole slides are left out, and labels without a slide. Where no slide is
    found, files that cannot be read form a series without a UID, so that opening it says what is
    wrong with them.
    """
    slides: dict[str, list[tuple[int, str, Path]]] = defaultdict(list)
    series: dict[str, str] = {}
    asides: list[tuple[DicomHeader, Path]] = []
    for file in sorted(files):
        header = _header_or_none(file)
        if header is not None and header.is_aside:
            asides.append((header, file))
        elif header is None or header.is_whole_slide:
            uid, instance = (header.slide, header.instance) if header else ("", "")
            slides[uid].append((-file.stat().st_size, instance, file))
            series.setdefault(header.series if header else "", uid)
    if len(slides) > 1:
        slides.pop("", None)
    own = {uid: _pictures([file for *_, file in sorted(group)]) for uid, group in slides.items()}
    for header, file in asides:
        for picture in own.get(series.get(header.series, ""), []):
            picture.append(file)
    return tuple(DicomSeries(uid, tuple(one)) for uid, pictures in own.items() for one in pictures)


def _header_or_none(file: Path) -> DicomHeader | None:
    try:
        return read_dicom_header(file)
    except OSError:
        return None


def _pictures(files: Sequence[Path]) -> list[list[Path]]:
    """Return the files of each picture of a series; those that are no level are of the first."""
    try:
        found = [item for file in files if (item := read_instance(file)) is not None]
        firsts = without_copies(found)
        levels = [item for item in dict.fromkeys(firsts) if item.is_level]
        wholes = [DicomLevel(parts) for parts in group_parts(levels)]
        pictures = _split([whole for whole in wholes if min(whole.first.size) > 0])
    except (SlideOpenError, *DECODE_ERRORS):
        return [list(files)]  # opening it says what is wrong
    if len(pictures) < 2:
        return [list(files)]
    homes = {
        part: number
        for number, picture in enumerate(pictures)
        for whole in picture
        for part in whole.instances
    }
    first_of = {item.path: first for item, first in zip(found, firsts, strict=True)}
    parted: list[list[Path]] = [[] for _ in pictures]
    for file in files:
        first = first_of.get(file)
        parted[homes.get(first, 0) if first else 0].append(file)
    return parted


def _split(wholes: Sequence[DicomLevel]) -> list[list[DicomLevel]]:
    """Return the pictures of a series, each with its finest level first."""
    ordered = sorted(wholes, key=lambda whole: (-whole.area, whole.first.path))
    alike = Counter(whole.first.size for whole in ordered)
    pictures: list[list[DicomLevel]] = []
    for whole in ordered:
        home = _home(whole, pictures, alone=alike[whole.first.size] == 1)
        if home is None:
            pictures.append([whole])
        else:
            home.append(whole)
    return sorted(pictures, key=lambda picture: picture[0].first.path)


def _home(
    whole: DicomLevel, pictures: Sequence[list[DicomLevel]], *, alone: bool
) -> list[DicomLevel] | None:
    """Return the picture of which a file is another plane or a coarser level; None for its own.

    Where several files or pictures compete, or where statements disagree, the pixels decide.
    """
    for picture in pictures:
        sure = len(pictures) == 1 or _resembles(whole, picture[0])
        if sure and _is_other_plane(whole, picture):
            return picture
    fits = [(_fit(picture[0].first, whole.first), picture) for picture in pictures]
    if alone and len(pictures) == 1 and fits[0][0][0] is _Fit.STATED:
        return fits[0][1]
    fits.sort(key=lambda entry: (_is_taken(whole, entry[1]), entry[0][0].value))
    unsure = []
    for (fit, scales), picture in fits:
        same = None if scales is None else _shows_same(picture[0], whole, scales)
        if same and fit is not _Fit.NONE:
            return picture
        if same is None and fit is _Fit.STATED:
            unsure.append(picture)
    return unsure[0] if unsure else None


def _is_other_plane(whole: DicomLevel, picture: Sequence[DicomLevel]) -> bool:
    """Return whether a picture shows the same place at other depths.

    Two sections have a depth of their own, too, and often no place or the same one: what they show
    tells them apart. Where that tells nothing, their statements count.
    """
    alike = [level for level in picture if level.first.size == whole.first.size]
    if not alike or not _is_near(alike[0].first, whole.first):
        return False
    own, *others = plane_depths([whole.first, *(level.first for level in alike)])
    if own in others:
        return False
    away = [abs(own - depth) for depth in others]
    return _shows_other_plane(alike[away.index(min(away))], whole) is not False


def _resembles(whole: DicomLevel, base: DicomLevel) -> bool:
    """Return whether a coarser file may show what a picture does."""
    _, scales = _fit(base.first, whole.first)
    return scales is None or _shows_same(base, whole, scales) is not False


def _shows_other_plane(one: DicomLevel, other: DicomLevel) -> bool | None:
    """Return whether two files show one place at two depths, or None where nothing tells."""
    if one.problem or other.problem:
        return None
    try:
        return shows_other_plane(segment_level(one), segment_level(other))
    except (SlideOpenError, *DECODE_ERRORS):
        return None


def _is_taken(whole: DicomLevel, picture: Sequence[DicomLevel]) -> bool:
    return any(level.first.size == whole.first.size for level in picture)


class _Fit(Enum):
    """How well a file's statements make it a level of a picture."""

    STATED = 1
    DOUBTFUL = 2
    NONE = 3


def _fit(base: Instance, item: Instance) -> tuple[_Fit, Scales | None]:
    """Return how a file fits a picture as a level, and the scales at which it would."""
    if item.size == base.size:
        return _Fit.NONE, None
    stored = [DicomLevel((one,)).stored() for one in (base, item)]
    placed = place_levels(stored).levels
    ratio = _spacing_ratio(base, item)
    if len(placed) > 1:
        scales = placed[1].downsample_x, placed[1].downsample_y
        agrees = ratio is None or all(
            abs(one / other - 1) < _COARSER - 1 for one, other in zip(ratio, scales, strict=True)
        )
        return (_Fit.STATED if agrees and _is_near(base, item) else _Fit.DOUBTFUL), scales
    if max(item.size) <= TOO_FEW_PX:
        return _Fit.STATED, None  # nothing that could be looked at
    covers = ratio is not None and all(
        one >= _COARSER and part >= int(full / one) - 1
        for one, full, part in zip(ratio, base.size, item.size, strict=True)
    )
    return (_Fit.STATED if covers and _is_near(base, item) else _Fit.NONE), None


def _spacing_ratio(base: Instance, item: Instance) -> Scales | None:
    fine, coarse = base.spacing, item.spacing
    if fine is None or coarse is None:
        return None
    return coarse[0] / fine[0], coarse[1] / fine[1]


def _is_near(one: Instance, other: Instance) -> bool:
    """Return whether two pictures begin at one place of the glass, as far as they state it."""
    first, second, spacing = one.origin, other.origin, other.spacing
    if first is None or second is None or spacing is None:
        return True
    return all(
        abs(a - b) <= max(_NEAR_PX, _NEAR_SHARE * pixels) * size
        for a, b in zip(first, second, strict=True)
        for size, pixels in [(max(spacing), max(other.size))]
    )


def _shows_same(base: DicomLevel, item: DicomLevel, scales: Scales) -> bool | None:
    """Return whether a level shows what a picture does, or None where nothing can be compared."""
    if base.problem or item.problem:
        return None
    describe = cache(lambda place: segment_level((base, item)[place]))
    try:
        return comparison(describe)(Placed(0, (1.0, 1.0)), Placed(1, scales), proof=True)
    except (SlideOpenError, *DECODE_ERRORS):
        return None
