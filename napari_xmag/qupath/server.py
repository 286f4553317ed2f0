"""A picture as QuPath describes it: which file, which series, and what was done to it."""

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import url2pathname

from napari_xmag.errors import GeometryError, ProjectError
from napari_xmag.geometry import Mpp
from napari_xmag.qupath.origin import Origin, slide_frame
from napari_xmag.qupath.series import picture_number
from napari_xmag.slide.base import MppSource, Slide
from napari_xmag.slide.mpp import agree, describe_mpp
from napari_xmag.slide.open import list_images, open_slide

# Wrapped pictures whose pixels lie where those of the file do.
_SAME_PLACES = {"pyramidize"}
_RECOLORED = "given other colours in QuPath"
_CHANGES = {
    "color": _RECOLORED,
    "color_deconvolved": _RECOLORED,
    "swapRedBlue": _RECOLORED,
    "rotated": "rotated in QuPath",
    "flipped": "flipped in QuPath",
    "cropped": "cropped in QuPath",
    "affine": "transformed in QuPath",
    "channels": "put together from several files",
    "sparse": "put together from several files",
    "z_concatenated": "put together from several files",
    "z_projected": "projected over its focal planes in QuPath",
    "sliced": "reduced to some of its planes in QuPath",
}
_CHANGING = (("--rotate", "ROTATE_NONE", "rotated"), ("--order", "RGB", "swapRedBlue"))
"""Arguments by which QuPath changes a picture as it reads it, but for one value."""

BUILDER_ERRORS = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)
"""What reading a description that is none may raise."""


def builder_words(error: Exception) -> str:
    """Return why a description could not be read, for a person."""
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    if isinstance(error, OSError):
        return error.strerror or "it cannot be opened"
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}"
    return str(error) if type(error) is ValueError else "it is not laid out as QuPath writes it"


_MICROMETRE = {"µm", "μm", "um", "micron", "microns"}


@dataclass(frozen=True, slots=True)
class QuPathImage:
    """One picture.

    Attributes
    ----------
    path
        Its file, which may not be there.
    width, height
        Size in pixels as QuPath shows it; 0 where it does not say.
    series
        Number of the series that Bio-Formats reads, from 0; None where none is named.
    crop
        False when QuPath shows the whole slide (``--no-crop``).
    mpp
        Pixel size that QuPath knows or was given; None where it has none.
    problem
        What was done to it, so that its pixels are not those of a file; empty when they are.
    planes
        How many focal planes QuPath shows; 0 where it does not say.
    """

    path: Path
    width: int = 0
    height: int = 0
    series: int | None = None
    crop: bool = True
    mpp: Mpp | None = None
    problem: str = ""
    planes: int = 0

    def require_plain(self) -> None:
        """Do nothing when the pixels that QuPath shows are those of the file.

        Raises
        ------
        ProjectError
            When it was rotated, cropped, recoloured or put together in QuPath.
        """
        if self.problem:
            raise ProjectError(
                expected=f"{self.path.name} as its scanner wrote it",
                found=f"an image that was {self.problem}",
                hint="Add the file itself to the project, and use that.",
            )


def read_server(
    builder: Mapping[str, Any], resolve: Callable[[str], Path] | None = None
) -> QuPathImage:
    """Read the ``serverBuilder`` of a project, or a ``server.json`` beside it.

    Parameters
    ----------
    builder
        The JSON object.
    resolve
        Finds the file of a URI; the path in it when None.

    Raises
    ------
    BUILDER_ERRORS
        When it is no such description.
    """
    outermost, problem = builder, ""
    while (kind := str(builder.get("builderType", "uri"))) != "uri":
        if kind not in _SAME_PLACES and builder.get("rotation") != "ROTATE_NONE":
            problem = problem or _CHANGES.get(
                kind, f"made in a way that is not known here ({kind})"
            )
        inner = builder.get("builder")
        if not isinstance(inner, Mapping):
            return QuPathImage(Path(_several(builder)), problem=problem or _CHANGES["sparse"])
        builder = inner
    uri = builder["uri"]
    if not isinstance(uri, str) or not uri.strip():
        raise ValueError("it names no file")
    arguments = [str(argument) for argument in builder.get("args") or []]
    facts = outermost.get("metadata") or builder.get("metadata") or {}
    path = (resolve or uri_path)(uri)
    return QuPathImage(
        path=path,
        width=_side(facts.get("width")),
        height=_side(facts.get("height")),
        series=_series(arguments),
        crop="--no-crop" not in arguments,
        mpp=_mpp(facts.get("pixelCalibration") or {}),
        problem=problem or _changed_by(arguments) or _elsewhere(uri, path),
        planes=_side(facts.get("sizeZ")),
    )


def _changed_by(arguments: Sequence[str]) -> str:
    """Return how QuPath changes a picture as it reads it; empty where it does not."""
    for option, nothing, change in _CHANGING:
        if _stated(arguments, option) not in (None, nothing):
            return _CHANGES[change]
    return ""


def _stated(arguments: Sequence[str], *names: str) -> str | None:
    """Return the value of an option; None where it is not among the arguments."""
    for index, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name in names:
            return value or "".join(arguments[index + 1 : index + 2])
    return None


def _several(builder: Mapping[str, Any]) -> str:
    return str(builder.get("path") or builder.get("builderType"))


def _elsewhere(uri: str, path: Path) -> str:
    scheme = urlsplit(uri).scheme
    if scheme not in ("file", "") and not _is_drive(scheme):
        return f"read from a server ({scheme})"
    # QuPath names a file of a slide of several; whatever else lies beside it is none of its image
    return "read from a folder" if os.path.isdir(path) else ""


def _is_drive(scheme: str) -> bool:
    return len(scheme) == 1


def uri_path(uri: str) -> Path:
    """Return the path of a ``file:`` URI; a plain path stays as it is."""
    parts = urlsplit(uri)
    if parts.scheme != "file":
        return Path(uri)
    return Path(url2pathname(_share(parts) + parts.path))


def uri_parts(uri: str) -> PurePosixPath:
    """Return the path of a URI as the system that wrote it would part it, on any system."""
    parts = urlsplit(uri)
    # Java writes a share in two ways: file://server/share and file:////server/share
    return PurePosixPath(unquote(_share(parts) + parts.path))


def _share(parts: SplitResult) -> str:
    return f"//{parts.netloc}" if parts.netloc and parts.netloc != "localhost" else ""


def _side(stated: Any) -> int:
    try:
        side = float(stated or 0)
    except (TypeError, ValueError):
        side = math.nan
    if not math.isfinite(side) or side < 0:
        raise ValueError(f"it shows an image {stated} pixels wide or high")
    return int(side)


def _series(arguments: Sequence[str]) -> int | None:
    stated = _stated(arguments, "--series", "-s")
    if stated is None:
        return None
    if not re.fullmatch(r"-?\d+", stated):
        raise ValueError(f"it shows the series {stated or 'without a number'}")
    return int(stated) if int(stated) >= 0 else None


def _mpp(calibration: Mapping[str, Any]) -> Mpp | None:
    sizes = [calibration.get(f"pixel{axis}") or {} for axis in ("Width", "Height")]
    if any(str(size.get("unit")) not in _MICROMETRE for size in sizes):
        return None
    try:
        return Mpp(*(float(size["value"]) for size in sizes))
    except (GeometryError, KeyError, TypeError, ValueError, OverflowError):
        return None


def open_shown(image: QuPathImage) -> Slide:
    """Open the picture of a file that QuPath shows: of several, the one of its size and series.

    A slide that states no pixel size gets the one that QuPath was given.

    Raises
    ------
    SlideOpenError
        When the file cannot be read.
    ProjectError
        When it could be one of several.
    """
    slide = open_slide(image.path, image=shown_number(image))
    _take_mpp(image, slide)
    return slide


def shown_number(image: QuPathImage) -> int | None:
    """Return the number of the picture of its file, as of `picture_number`.

    Raises
    ------
    SlideOpenError
        When the file cannot be read.
    ProjectError
        When it could be one of several.
    """
    size = image.width, image.height
    return picture_number(image.path, list_images(image.path), size, image.series)


def find_origin(image: QuPathImage, slide: Slide) -> Origin:
    """Return from which corner QuPath counts, by the size of what it shows.

    Raises
    ------
    ProjectError
        When neither the slide nor its scanned part has that size: QuPath shows something else.
    """
    shown = image.width, image.height
    wanted = (Origin.BOUNDS, Origin.SLIDE) if image.crop else (Origin.SLIDE,)
    if not all(shown):
        return wanted[0]
    for origin in wanted:
        frame = slide_frame(slide, origin)
        if (round(frame.width), round(frame.height)) == shown:
            return origin
    raise _other_picture(image, slide)


def _other_picture(image: QuPathImage, slide: Slide) -> ProjectError:
    whole, scanned = (
        f"{frame.width:.0f}×{frame.height:.0f}"
        for frame in (slide_frame(slide, Origin.SLIDE), slide_frame(slide, Origin.BOUNDS))
    )
    shown, name = f"{image.width}×{image.height}", slide.path.name
    series = "" if image.series is None else f" (series {image.series})"
    if not image.crop and shown == scanned:
        return ProjectError(
            expected=f"the whole of {name}, {whole} pixels, which --no-crop shows",
            found=f"the size of its scanned part{series}, {shown}",
            hint="Remove the image from the project and add the slide anew, with --no-crop or "
            "without.",
        )
    sizes = {whole} if not image.crop else {whole, scanned}
    return ProjectError(
        expected=f"an image of {' or '.join(sorted(sizes))} pixels, as in {name}",
        found=f"that QuPath shows {shown}{series}",
        hint="Open the slide itself in QuPath, not its overview or another file of that name.",
    )


def _take_mpp(image: QuPathImage, slide: Slide) -> None:
    """Give a slide that states no pixel size the one that QuPath was given.

    Where both have one the slide's stays, and a conflict is noted on it.
    """
    if image.mpp is None:
        return
    if slide.mpp is None:
        slide.mpp, slide.mpp_source = image.mpp, MppSource.USER
    elif not agree(image.mpp, slide.mpp):
        words = f"QuPath says {describe_mpp(image.mpp)}, the slide {describe_mpp(slide.mpp)}."
        slide.mpp_conflict = f"{slide.mpp_conflict} {words}".strip()
