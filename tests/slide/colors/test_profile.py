"""Colour profiles, and the passport that says whether there is one."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageCms

from napari_xmag.geometry import Box
from napari_xmag.slide.colors.profile import srgb_transform
from napari_xmag.slide.metadata import slide_metadata
from napari_xmag.slide.open import open_slide
from tests.slides import draw_section, write_pyramid


def _profile(exponent: float) -> bytes:
    """Return an sRGB-like profile whose tone curves are a power, by patching Pillow's own."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # A parametric curve ("para") of type 3 begins with its exponent as 16.16 fixed point.
    start = 0
    while (start := profile.find(b"para", start + 1)) >= 0:
        if profile[start + 4 : start + 8] == b"\0\0\0\0":
            profile[start + 12 : start + 16] = round(exponent * 65536).to_bytes(4, "big")
    return bytes(profile)


def test_profile_changes_colours(tmp_path: Path) -> None:
    path = write_pyramid(
        tmp_path / "icc.tiff", draw_section(600, 500), factors=(1,), icc=_profile(1.6)
    )
    slide = open_slide(path)
    transform = srgb_transform(slide)
    assert transform is not None
    pixels = slide.read(Box(250, 200, 64, 64), 0)
    before = pixels.copy()
    changed = transform(pixels)
    assert changed.shape == pixels.shape
    assert changed.mean() > pixels.mean() + 5
    np.testing.assert_array_equal(pixels, before)
    assert slide_metadata(slide)["icc"] is True


def test_profile_that_is_srgb_costs_nothing(tmp_path: Path) -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = write_pyramid(tmp_path / "icc.tiff", draw_section(600, 500), factors=(1,), icc=icc)
    assert srgb_transform(open_slide(path)) is None


def test_no_profile_and_spoilt_profile(
    tmp_path: Path, pyramid_slide: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert srgb_transform(open_slide(pyramid_slide)) is None
    slide = open_slide(pyramid_slide)
    slide.icc_profile = b"rubbish"
    assert srgb_transform(slide) is None
    assert "pyramid.tiff" in caplog.text


def test_passport_is_plain_and_names_no_folder(bounds_slide: Path) -> None:
    slide = open_slide(bounds_slide)
    content = json.loads(json.dumps(slide_metadata(slide)))
    assert content["path"] == "bounds.scn"
    assert str(bounds_slide.parent) not in json.dumps(content)
    assert (content["width"], content["height"]) == (6000, 5000)
    assert content["bounds"] == {"x": 1501.0, "y": 2003.0, "width": 2000.0, "height": 1500.0}
    assert content["mpp_x"] == pytest.approx(0.5)
    assert content["levels"][1]["downsample"] == 4.0
    assert content["objective_power"] == 20
    assert len(content["fingerprint"]) == 32


def test_fingerprint_tells_slides_apart(pyramid_slide: Path, aperio_slide: Path) -> None:
    one, other = slide_metadata(open_slide(pyramid_slide)), slide_metadata(open_slide(aperio_slide))
    assert one["fingerprint"] != other["fingerprint"]
    assert one["fingerprint"] == slide_metadata(open_slide(pyramid_slide))["fingerprint"]
