"""Where a slide states its pixel size, and whether its statements agree.

The pixel size is never guessed: a value is taken only where the file says it in real units.
"""

import math
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from napari_xmag.errors import GeometryError
from napari_xmag.geometry import Mpp
from napari_xmag.slide.base import MppSource

# 1 % is more than rounding in any header, and far less than a step of magnification.
AGREEMENT = 0.01
# Printer and screen defaults (72, 96, 300, 600 dpi) mean 42 µm per pixel and more; no microscope
# slide is scanned so coarsely. Below 0.01 µm light has nothing to show.
PLAUSIBLE = (0.01, 20.0)
# An objective of 20x gives about 0.5 µm per pixel with common cameras; 1.8 either way is a step.
OBJECTIVE_MPP = 10.0
OBJECTIVE_FACTOR = 1.8

# Pixels of scanners are square, but for the drift of a line scanner.
_SQUARE = 1.05
# A picture is a shrunken one where both sides are smaller by this factor, and alike.
_SHRUNK, _ALIKE = 1.1, 0.02
_APERIO_SIZES = re.compile(r"(?<![\d(])(\d{2,7})x(\d{2,7})(?![\d)])")

# µm in each unit of length that OME, ImageJ and TIFF write; "pixel" and "reference frame" are none.
_MICRONS = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "micrometre"), 1.0),
    **dict.fromkeys(("pm", "picometer"), 1e-6),
    **dict.fromkeys(("å", "angstrom"), 1e-4),
    **dict.fromkeys(("nm", "nanometer", "nanometre"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 1e4),
    "dm": 1e5,
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
    **dict.fromkeys(("in", "inch", "inches", '"'), 25400.0),
    **dict.fromkeys(("thou", "mil"), 25.4),
    "li": 25400.0 / 12,
    "pt": 25400.0 / 72,
    "ft": 12 * 25400.0,
}


@dataclass(frozen=True, slots=True)
class StatedMpp:
    """One place in the file that states the pixel size, named in ``where``."""

    mpp: Mpp
    source: MppSource
    where: str


def agree(one: Mpp, other: Mpp) -> bool:
    """Return whether two pixel sizes are the same within rounding."""
    ratios = (one.x / other.x, one.y / other.y)
    return all(1 / (1 + AGREEMENT) <= ratio <= 1 + AGREEMENT for ratio in ratios)


def describe_mpp(mpp: Mpp) -> str:
    """Return the pixel size in words."""
    if agree(mpp, Mpp(mpp.y, mpp.x)):
        return f"{mpp.x:.4g} µm per pixel"
    return f"{mpp.x:.4g} × {mpp.y:.4g} µm per pixel"


def plausible(x: float, y: float) -> Mpp | None:
    """Return the pixel size, or None where no microscope slide can have it."""
    low, high = PLAUSIBLE
    return Mpp(x, y) if low <= x <= high and low <= y <= high else None


def written_number(text: str) -> float:
    """Return a number with a decimal point or comma: scanners and people write 0.25 and 0,25.

    Raises
    ------
    ValueError
        When it is none.
    """
    return float(text.strip().replace(",", "."))


def typed_mpp(text: str) -> float:
    """Return the µm per pixel that a person wrote, with a point or a comma: 0.25 or 0,25.

    Raises
    ------
    GeometryError
        When it is no number, or one that no microscope slide has (such as 40, the objective's).
    """
    try:
        value = written_number(text)
    except ValueError:
        value = math.nan
    if plausible(value, value) is None:
        raise GeometryError(
            expected=f"µm per pixel, from {PLAUSIBLE[0]:g} to {PLAUSIBLE[1]:g}",
            found=repr(text),
            hint="A 40x scan has about 0.25, a 20x scan about 0.5.",
        )
    return value


def mpp_from_text(x: str | None, y: str | None) -> Mpp | None:
    """Return the pixel size written in two properties, or None."""
    try:
        return plausible(written_number(x or ""), written_number(y or ""))
    except ValueError:
        return None


def mpp_from_resolution(x: float, y: float, unit: str) -> Mpp | None:
    """Return the pixel size that TIFF resolution tags state.

    Parameters
    ----------
    x, y
        Pixels per unit.
    unit
        Of length, as a header writes it; anything else is no unit at all and gives None.
    """
    microns = microns_in(unit)
    if microns is None or x <= 0 or y <= 0:
        return None
    return plausible(microns / x, microns / y)


def microns_in(unit: str) -> float | None:
    """Return the µm in a unit of length, or None where it is none."""
    text = unit.strip().strip("\x00").replace("\\u00B5", "µ").replace("\\u00b5", "µ")
    text = text.replace("\\u03BC", "µ").replace("\\u03bc", "µ").replace("Â", "")
    return _MICRONS.get(text.lower())


def mpp_from_imagej(text: str, x: float, y: float) -> Mpp | None:
    """Return the pixel size that ImageJ's description gives to the resolution tags.

    Parameters
    ----------
    text
        ImageJ's description, with lines such as ``unit=micron``.
    x, y
        Pixels per unit, from the resolution tags.
    """
    lines = re.findall(r"^\s*([xy]?unit)\s*=\s*(.*?)\s*$", text, re.MULTILINE)
    units: dict[str, str] = dict(lines)
    unit = units.get("xunit", units.get("unit", ""))
    across, down = microns_in(unit), microns_in(units.get("yunit", unit))
    if across is None or down is None or x <= 0 or y <= 0:
        return None
    return plausible(across / x, down / y)


def mpp_from_description(text: str) -> Mpp | None:
    """Return the ``MPP = …`` of an Aperio-style image description."""
    value = aperio_value(text, "MPP")
    return mpp_from_text(value, value)


def aperio_value(text: str, name: str) -> str | None:
    """Return a value among the ``|name = value`` of an Aperio-style image description."""
    match = re.search(rf"\|\s*{re.escape(name)}\s*=\s*([^|\r\n]+)", text)
    return match[1].strip() if match else None


def aperio_conflict(text: str, width: int, height: int) -> str:
    """Return words on an Aperio header that was made for more pixels than the picture has.

    Whoever shrinks a slide and copies its header states the pixel size of another picture.

    Parameters
    ----------
    width, height
        Of the picture in pixels.
    """
    if not text.startswith("Aperio"):
        return ""
    own = text.partition("\n")[2].partition("|")[0].partition(";")[0]
    sizes = [(int(wide), int(high)) for wide, high in _APERIO_SIZES.findall(own)]
    *before, last = sizes or [(width, height)]
    if "->" not in own and (width, height) in sizes:
        return ""
    for wide, high in [*before, last]:
        ratio = wide / width
        if ratio >= _SHRUNK and abs(high / height / ratio - 1) <= _ALIKE:
            return (
                f"The Aperio header was written for {wide}×{high} pixels, but the image has "
                f"{width}×{height}: the pixel size may be that of the larger one."
            )
    return ""


def mpp_from_ome(pixels: ElementTree.Element) -> Mpp | None:
    """Return the physical size in an OME ``Pixels`` element, in any of its units."""
    sizes = []
    for axis in "XY":
        unit = microns_in(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        try:
            size = written_number(pixels.get(f"PhysicalSize{axis}", ""))
        except ValueError:
            return None
        if unit is None:
            return None
        sizes.append(size * unit)
    return plausible(*sizes)


def resolution_statement(properties: Mapping[str, str]) -> StatedMpp | None:
    """Return what the resolution tags among OpenSlide's properties state."""
    try:
        x = float(properties["tiff.XResolution"])
        y = float(properties["tiff.YResolution"])
    except (KeyError, ValueError):
        return None
    mpp = mpp_from_resolution(x, y, properties.get("tiff.ResolutionUnit", ""))
    return StatedMpp(mpp, MppSource.RESOLUTION_TAG, "resolution tag") if mpp else None


def find_conflict(statements: Sequence[StatedMpp], objective_power: float | None) -> str:
    """Return words that say which statements disagree; empty when none do."""
    words = []
    for other in statements[1:]:
        first = statements[0]
        if not agree(first.mpp, other.mpp):
            words.append(
                f"The {first.where} says {describe_mpp(first.mpp)}, "
                f"the {other.where} says {describe_mpp(other.mpp)}."
            )
    if statements and not 1 / _SQUARE <= statements[0].mpp.x / statements[0].mpp.y <= _SQUARE:
        words.append(
            f"The {statements[0].where} says {describe_mpp(statements[0].mpp)}, but scanners "
            "have square pixels."
        )
    if statements and objective_power:
        expected = OBJECTIVE_MPP / objective_power
        ratio = statements[0].mpp.mean / expected
        if not 1 / OBJECTIVE_FACTOR <= ratio <= OBJECTIVE_FACTOR:
            words.append(
                f"The {statements[0].where} says {describe_mpp(statements[0].mpp)}, but the file "
                f"names a {objective_power:g}x objective (usually about {expected:.2g} µm per "
                "pixel)."
            )
    return " ".join(words)
