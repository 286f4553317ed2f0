"""Where fields come from: whole slides, and large pictures of tissue with a stated pixel size."""

import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_xmag.cohort.cells import is_missing, patient_of
from napari_xmag.cohort.table import is_table, read_table
from napari_xmag.errors import CohortError, ConfigError, GeometryError, MppMissingError
from napari_xmag.files import real_path
from napari_xmag.slide.find import SLIDE_SUFFIXES, is_slide
from napari_xmag.slide.mpp import typed_mpp
from napari_xmag.slide.picture import PICTURE_SUFFIXES

_ONLY_PICTURES = set(PICTURE_SUFFIXES) - set(SLIDE_SUFFIXES)
_ONLY_SLIDES = set(SLIDE_SUFFIXES) - set(PICTURE_SUFFIXES)
# A shard of pictures holds so many: far fewer files than pictures, and little to lose in a break.
_PICTURES_IN_PART = 64


@dataclass(frozen=True, slots=True)
class FieldSource:
    """A slide or a picture.

    Attributes
    ----------
    path
        The file, or the folder of a DICOM slide.
    name
        File name; of a picture below a given folder its path within that.
    case
        Whose tissue it is: sources of one case are held out together.
    mpp
        µm per pixel of a picture; None for a slide, which states its own.
    """

    path: Path
    name: str
    case: str
    mpp: float | None = None

    @property
    def key(self) -> str:
        """Name for files made of it: none but letters, digits, _ and -, and no other source's."""
        return f"{shard_name(self.path.stem)}-{_hash(str(real_path(self.path)))}"


@dataclass(frozen=True, slots=True)
class Part:
    """What one worker does in one go and one shard holds: a slide, or some pictures."""

    key: str
    name: str
    sources: tuple[FieldSource, ...]


def find_sources(
    places: Sequence[Path], *, tiles_mpp: float | None = None, case: str | None = None
) -> list[FieldSource]:
    """Return the slides and pictures that are meant, each once, in the order given.

    Parameters
    ----------
    places
        Slides; pictures; folders of pictures, with their sub-folders; tables tile[,mpp][,case]
        in any form that `napari_xmag.cohort.table.read_table` reads, whose tiles lie beside them.
    tiles_mpp
        µm per pixel of pictures; a table's column wins over it.
    case
        Regular expression for the name that gives the case: its first bracket, or all that it
        matches. None: the file name of a slide; the sub-folder of a picture, or its file name
        where it lies in the given folder itself.

    Raises
    ------
    MppMissingError
        When pictures have no pixel size; they are named.
    ConfigError
        When a folder or table holds no pictures, or a name gives no case.
    CohortError
        When a table cannot be read, or a row names no picture.
    """
    found: dict[Path, FieldSource] = {}
    for place in places:
        for source in _at(place, tiles_mpp, case):
            found.setdefault(real_path(source.path), source)
    sources = list(found.values())
    _require_mpp(sources)
    return sources


def parts(sources: Sequence[FieldSource]) -> list[Part]:
    """Gather sources into parts: each slide for itself, pictures by the dozen."""
    slides = [Part(s.key, s.name, (s,)) for s in sources if not is_picture(s)]
    pictures = [source for source in sources if is_picture(source)]
    groups = [
        tuple(pictures[start : start + _PICTURES_IN_PART])
        for start in range(0, len(pictures), _PICTURES_IN_PART)
    ]
    return slides + [_of_pictures(group) for group in groups]


def is_picture(source: FieldSource) -> bool:
    """Return whether a source is a picture; a slide states its own pixel size."""
    return source.mpp is not None


def shard_name(name: str) -> str:
    """Return a name that is whole in the webdataset layout, where a key ends at the first dot."""
    return re.sub(r"[^\w-]+", "_", name)


def _of_pictures(group: tuple[FieldSource, ...]) -> Part:
    first, last = group[0], group[-1]
    key = f"{shard_name(first.path.stem)}-{_hash(' '.join(source.key for source in group))}"
    words = first.name if first is last else f"{first.name} … {last.name}"
    return Part(key, f"{len(group)} images ({words})", group)


def _hash(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


def _at(place: Path, mpp: float | None, case: str | None) -> Iterator[FieldSource]:
    if is_table(place):
        yield from _in_table(place, mpp, case)
    elif place.is_dir() and not is_slide(place):
        yield from _in_folder(place, mpp, case)
    elif place.suffix.lower() in _ONLY_PICTURES:
        yield FieldSource(place, place.name, _case(place.name, case, place.stem), _stated(mpp))
    else:
        yield FieldSource(place, place.name, _case(place.name, case, place.stem))


def _in_folder(folder: Path, mpp: float | None, case: str | None) -> Iterator[FieldSource]:
    files = [path for path in sorted(folder.rglob("*")) if not path.name.startswith(".")]
    if slides := [path.name for path in files if path.suffix.lower() in _ONLY_SLIDES]:
        raise ConfigError(
            expected=f"images in the folder {folder}",
            found=f"slides, such as {slides[0]}",
            hint=f"Give the slides themselves: {folder}/*{Path(slides[0]).suffix}",
        )
    pictures = [path for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
    if not pictures:
        raise _nothing(folder)
    for path in pictures:
        within = path.relative_to(folder)
        below = within.parent.as_posix()
        own = path.stem if below == "." else below
        name = within.as_posix()
        yield FieldSource(path, name, _case(name, case, own), _stated(mpp))


def _in_table(table: Path, mpp: float | None, case: str | None) -> Iterator[FieldSource]:
    lines = read_table(table, ("tile",))
    if not lines:
        raise _nothing(table)
    if lacking := [str(number) for number, cells in lines if is_missing(cells["tile"])]:
        raise CohortError(
            expected=f"the name of an image in each row of {table.name}",
            found=f"none in {'row' if len(lacking) == 1 else 'rows'} {', '.join(lacking[:10])}",
            hint="Fill in the column tile, or delete these rows.",
        )
    for _, cells in lines:
        name = cells["tile"]
        own = patient_of(cells.get("case", "")) or _case(name, case, Path(name).stem)
        size = _written(cells.get("mpp", ""), mpp)
        yield FieldSource(table.parent / name, name, own, _stated(size))


def _written(text: str, otherwise: float | None) -> float | None:
    """Return the pixel size of a cell, None where it makes no sense."""
    try:
        return otherwise if is_missing(text) else typed_mpp(text)
    except GeometryError:
        return None


def _case(name: str, pattern: str | None, own: str) -> str:
    if pattern is None:
        return own
    match = re.search(pattern, name)
    if match is None:
        raise ConfigError(
            expected=f"the case of {name}",
            found=f"a name that {pattern!r} does not match",
            hint="Correct --case.",
        )
    return match.group(1 if match.re.groups else 0)


def _stated(mpp: float | None) -> float:
    """Mark a picture without a usable pixel size, so that all of them can be named."""
    return mpp if mpp is not None and math.isfinite(mpp) and mpp > 0 else math.nan


def _require_mpp(sources: Sequence[FieldSource]) -> None:
    lacking = [s.name for s in sources if s.mpp is not None and math.isnan(s.mpp)]
    if lacking:
        more = f" and {len(lacking) - 3} more" if len(lacking) > 3 else ""
        raise MppMissingError(
            expected="the pixel size (µm per pixel) of every image",
            found=f"none for {', '.join(lacking[:3])}{more}",
            hint="Set --tiles-mpp, or fill in the column mpp of a table. Name whole slides in "
            "TIFF format one by one (FOLDER/*.tif).",
        )


def _nothing(place: Path) -> ConfigError:
    return ConfigError(
        expected=f"images in {place}",
        found="none",
        hint="Give slides, a folder of images, or a table with a column tile.",
    )
