"""A file that is replaced while it is analyzed: no result bears the new file's identity."""

import shutil
from pathlib import Path

import pytest

from napari_xmag.analyze import analyze
from napari_xmag.analyze.events import SlidePlanned
from napari_xmag.errors import ResultError
from napari_xmag.slide.open import open_slide
from tests.analyze.orange_model import orange_model
from tests.slides import draw_section, write_pyramid


@pytest.mark.parametrize("replaced", [True, False])
def test_a_slide_replaced_during_its_analysis_gets_no_result(
    tmp_path: Path, replaced: bool
) -> None:
    path = write_pyramid(tmp_path / "slide.tif", draw_section(700, 600), mpp=2.0, factors=(1,))
    other = write_pyramid(tmp_path / "other.tif", draw_section(700, 600, seed=9), mpp=2.0)
    shutil.copy(path, tmp_path / "same.tif")
    with open_slide(path) as slide:
        events = analyze(slide, orange_model())
        next(event for event in events if isinstance(event, SlidePlanned))
        (other if replaced else tmp_path / "same.tif").replace(path)
        if replaced:
            with pytest.raises(ResultError, match=r"slide\.tif to stay as it was"):
                list(events)
        else:
            assert list(events)
