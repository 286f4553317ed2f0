"""In which light a picture was taken, as its file states it: models know brightfield only."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

# OME's words for light other than brightfield, and for microscopes that see fluorescence only.
_CONTRASTS = frozenset({
    "fluorescence", "phase", "dic", "hoffmanmodulation", "obliqueillumination", "polarizedlight",
    "darkfield",
})  # fmt: skip
_ILLUMINATIONS = frozenset({"epifluorescence", "oblique", "nonlinear"})
_MODES = frozenset({
    "laserscanningconfocalmicroscopy", "laserscanningconfocal", "laserscanningmicroscopy",
    "spinningdiskconfocal", "slitscanconfocal", "sweptfieldconfocal", "multiphotonmicroscopy",
    "singlemoleculeimaging", "totalinternalreflection", "tirf", "fluorescencelifetime",
    "fluorescencecorrelationspectroscopy", "secondharmonicgenerationimaging", "palm", "storm",
    "sted", "spim",
})  # fmt: skip
_FLUOROPHORE = re.compile(
    r"fluorescen|(?<![a-z])(dapi|hoechst|fitc|tritc|texas[ _-]?red|rhodamine|alexa([ _-]?fluor)?"
    r"|cy(anine)?[ _-]?[2357](\.5)?|af[ _-]?(350|[4-7]\d\d)|atto|e?[gyrcb]fp|m[ _-]?cherry"
    r"|tdtomato|opal[ _-]?\d{3}|spectrum[ _-]?(orange|green|aqua|gold|red)|draq[ _-]?\d|sytox?"
    r"|bodipy|qdot|dylight)(?![a-z])",
    re.IGNORECASE,
)
_BRIGHTFIELD = re.compile(
    r"bright|transmi|(?<![a-z])(tl|bf|rgb|none|unknown|n/?a|h ?& ?e|he|dab|ihc|pas)(?![a-z])|eosin"
    r"|h(a)?ematoxylin|masson|giemsa",
    re.IGNORECASE,
)
_PALETTE = 3
# DICOM's codes of illumination (CID 8123) other than brightfield, and that of brightfield itself.
_DICOM_LIGHT = {
    "111742": "reflection",
    "111743": "epifluorescence",
    "111745": "dark field",
    "111746": "oblique illumination",
    "111747": "phase contrast",
    "111748": "differential interference contrast",
    "111749": "total internal reflection fluorescence",
}
_DICOM_BRIGHTFIELD = "111744"
# What has no more than this share of a primary colour is no white, and so no glass.
_ALMOST_NONE = 0.1

_Color = tuple[int, int, int]


def ome_light(pixels: Element | None) -> str:
    """Return why OME ``Pixels`` are, as they state, no brightfield picture; empty if they may be.

    Three grey planes are RGB unless their names or colours say that they are not.
    """
    channels = [] if pixels is None else [item for item in pixels if item.tag.endswith("Channel")]
    rgb = any(item.get("SamplesPerPixel", "1") != "1" for item in channels)
    names = [name for item in channels if (name := (item.get("Name") or "").strip())]
    if not rgb and len(channels) == 3 and (problem := _named(names)):
        return problem
    if stated := next(filter(None, map(_channel_light, channels)), ""):
        return stated
    plain = not rgb and not (len(channels) == 3 and names)
    return _shown_in([_ome_color(item.get("Color")) for item in channels]) if plain else ""


def _channel_light(channel: Element) -> str:
    contrast, illumination, mode = (
        re.sub(r"[^a-z]", "", (channel.get(name) or "").lower())
        for name in ("ContrastMethod", "IlluminationType", "AcquisitionMode")
    )
    name, fluor = channel.get("Name") or "", (channel.get("Fluor") or "").strip()
    pairs = ((contrast, _CONTRASTS), (illumination, _ILLUMINATIONS), (mode, _MODES))
    if other := next((stated for stated, others in pairs if stated in others), ""):
        return f"an image in other light ({other})"
    if dye := _FLUOROPHORE.search(fluor) or _FLUOROPHORE.search(name):
        return f"fluorescence ({dye[0]})"
    if illumination == "transmitted" or "brightfield" in (contrast, mode):
        return ""
    if _BRIGHTFIELD.search(fluor) or _BRIGHTFIELD.search(name):
        return ""
    return "fluorescence" if fluor or _states_waves(channel) else ""


def _states_waves(channel: Element) -> bool:
    """Return whether wavelengths are those of a dye; of a colour camera a single one may not be."""
    waves = [_number(channel.get(f"{kind}Wavelength")) for kind in ("Emission", "Excitation")]
    if channel.get("SamplesPerPixel", "1") == "1":
        return any(wave > 0 for wave in waves)
    return all(wave > 0 for wave in waves) and waves[0] != waves[1]


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _named(names: Sequence[str]) -> str:
    initials = [name[:1].lower() for name in names]
    return "" if initials in ([], ["r", "g", "b"]) else f"3 channels named {', '.join(names)}"


def _ome_color(text: str | None) -> _Color | None:
    """Return the colour of a channel, stated as a signed number of red, green, blue and alpha."""
    try:
        value = int(text or "") & 0xFFFFFFFF
    except ValueError:
        return None
    return value >> 24, value >> 16 & 255, value >> 8 & 255


def _shown_in(colors: Sequence[_Color | None]) -> str:
    """Return that grey planes are shown in colours of their own, other than those of RGB."""
    hues = {place: color for place, color in enumerate(colors) if color and _is_hue(color)}
    of_rgb = len(colors) == 3 and all(_is_primary(color, i) for i, color in hues.items())
    # one colour for all is what some programs write where nobody chose any
    chosen = len(hues) == len(colors) == 1 or len(set(hues.values())) > 1
    return "grey channels shown in colours, as fluorescence is" if chosen and not of_rgb else ""


def _is_hue(color: _Color) -> bool:
    return max(color) > 0 and min(color) <= _ALMOST_NONE * max(color)


def _is_primary(color: _Color, place: int) -> bool:
    return sorted(color)[1] <= _ALMOST_NONE * max(color) and color[place] == max(color)


def imagej_light(stated: Mapping[str, Any]) -> str:
    """Return why an ImageJ file is, as it states, no brightfield picture; empty if it may be.

    Parameters
    ----------
    stated
        What tifffile reads of its description and metadata.
    """
    labels = [str(label).partition("\n")[0].strip() for label in stated.get("Labels") or ()]
    if dye := next(filter(None, map(_FLUOROPHORE.search, labels)), None):
        return f"fluorescence ({dye[0]})"
    channels = stated.get("channels", 1)
    tables = [np.asarray(table) for table in stated.get("LUTs") or ()]
    if channels not in (1, 3) or len(tables) != channels:
        return ""
    return _shown_in([_brightest(table) for table in tables])


def _brightest(table: NDArray[Any]) -> _Color:
    """Return the most that a table of colours, (3, N), has of each."""
    red, green, blue = (int(value) for value in table.reshape(3, -1).max(axis=1))
    return red, green, blue


def page_light(page: Any) -> str:
    """Return why a TIFF page is, as it states, no brightfield picture; empty if it may be."""
    kind = int(page.photometric)
    if kind == _PALETTE and page.colormap is not None:
        return _shown_in([_brightest(page.colormap)])
    text = page.description or ""
    if kind > 1 or "QPI-ImageDescription" not in text:
        return ""
    named = " ".join(re.findall(r"<(?:Name|Biomarker|Fluor)>([^<]*)<", text))
    dye = _FLUOROPHORE.search(named)
    return "" if dye is None else f"fluorescence ({dye[0]})"


def dicom_light(paths: Sequence[Any]) -> str:
    """Return why optical paths, as all of them state, are not brightfield; empty if one may be.

    Parameters
    ----------
    paths
        Items of the OpticalPathSequence.
    """
    found = [_path_light(path) for path in paths]
    return found[0] if found and all(found) else ""


def _path_light(path: Any) -> str:
    codes = {str(item.get("CodeValue")) for item in path.get("IlluminationTypeCodeSequence") or ()}
    if _DICOM_BRIGHTFIELD in codes:
        return ""
    other = next((_DICOM_LIGHT[code] for code in sorted(codes) if code in _DICOM_LIGHT), "")
    return f"an image in other light ({other})" if other else ""


def scanner_light(properties: Mapping[str, str]) -> str:
    """Return why a slide that OpenSlide opens is, as its scanner states, not brightfield.

    Parameters
    ----------
    properties
        OpenSlide's, of which those of MRXS name the kind of slide; others it refuses by itself.

    Returns
    -------
    Empty where it may be brightfield.
    """
    kind = properties.get("mirax.GENERAL.SLIDE_TYPE", "").lower()
    return "fluorescence" if "fluorescen" in kind else ""
