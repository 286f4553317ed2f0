"""What identifies a slide and its geometry, for results and exports."""

from typing import Any

from napari_xmag.printable import printable
from napari_xmag.slide.base import Slide
from napari_xmag.slide.fingerprint import slide_fingerprint
from napari_xmag.slide.sample import is_sample


def slide_metadata(slide: Slide) -> dict[str, Any]:
    """Return the slide's identity and geometry as plain values for JSON.

    The file's name is kept, with what cannot be seen in it escaped. Its folder is not; neither are
    the label, the vendor's free text and the names of pictures, which may name a patient.
    """
    mpp = slide.mpp
    bounds = slide.bounds
    return {
        "path": printable(slide.path.name),
        "vendor": slide.vendor,
        "mpp_x": None if mpp is None else mpp.x,
        "mpp_y": None if mpp is None else mpp.y,
        "mpp_source": str(slide.mpp_source),
        "mpp_conflict": slide.mpp_conflict,
        "image": {"index": slide.image.index, "count": len(slide.images)},
        "plane": slide.image.place,
        "notes": [{"code": str(note.code), "words": note.words} for note in slide.notes],
        "width": slide.levels[0].width,
        "height": slide.levels[0].height,
        "levels": [
            {"width": level.width, "height": level.height, "downsample": level.downsample}
            for level in slide.levels
        ],
        "bounds": {
            "x": bounds.x,
            "y": bounds.y,
            "width": bounds.width,
            "height": bounds.height,
        },
        "objective_power": slide.objective_power,
        "icc": slide.icc_profile is not None,
        "sample": is_sample(slide),
        "fingerprint": slide_fingerprint(slide.path, slide.image.index),
    }
