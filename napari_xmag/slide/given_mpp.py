"""Pixel sizes that the user gives: where a slide states none, or in place of what it states."""

from napari_xmag.errors import ExportError
from napari_xmag.geometry import Mpp
from napari_xmag.slide.base import BY_HAND, MppSource, Slide
from napari_xmag.slide.mpp import agree, describe_mpp
from napari_xmag.slide.mpp_store import remember_mpp


def take_mpp(slide: Slide, given: Mpp) -> None:
    """Take a given pixel size, whatever the slide states; a conflict with that is noted."""
    if states_mpp(slide) and slide.mpp is not None and not agree(given, slide.mpp):
        slide.mpp_conflict = (
            f"{describe_mpp(given).capitalize()} was entered by hand, but the file's "
            f"{slide.mpp_source} says {describe_mpp(slide.mpp)}. {slide.mpp_conflict}"
        ).strip()
    slide.mpp, slide.mpp_source = given, MppSource.USER


def states_mpp(slide: Slide) -> bool:
    """Return whether the file itself states a pixel size."""
    return slide.mpp is not None and slide.mpp_source not in BY_HAND


def fill_mpp(slide: Slide, given: Mpp) -> str:
    """Give a pixel size to a slide whose file states none, and remember it; others keep theirs.

    Returns
    -------
    Words for the user where the value is not used or could not be remembered; else empty.
    """
    if not states_mpp(slide) or slide.mpp is None:
        take_mpp(slide, given)
        return _remember(slide, given)
    if agree(slide.mpp, given):
        return ""
    stated = describe_mpp(slide.mpp)
    return f"The file states {stated}, which is used instead of {describe_mpp(given)}."


def override_mpp(slide: Slide, given: Mpp) -> str:
    """Use a pixel size in place of what the file states, this time; the source says so.

    Where the file states none, it is remembered like any other that is given.

    Returns
    -------
    Words for the user where the value could not be remembered; else empty.
    """
    stated = states_mpp(slide)
    take_mpp(slide, given)
    if not stated:
        return _remember(slide, given)
    slide.mpp_source = MppSource.OVERRIDE
    return ""


def _remember(slide: Slide, mpp: Mpp) -> str:
    try:
        remember_mpp(slide.path, mpp, slide.image.index)
    except ExportError as error:
        return f"The pixel size is used now, but could not be remembered for next time. {error}"
    return ""
