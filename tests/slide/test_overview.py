"""The picture of the whole slide: what was scanned, and what was not."""

import threading
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_xmag.errors import TileReadError, TissueError
from napari_xmag.geometry import Box
from napari_xmag.slide import overview as overview_module
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.overview import overview_size, read_overview
from napari_xmag.slide.pyramid import dask_pyramid
from napari_xmag.slide.segments import Pixels, SegmentReader
from napari_xmag.slide.tissue import whole_slide
from tests.slides import draw_section, write_pyramid


@pytest.mark.parametrize("compression", ["jpeg", None])
def test_opaque_black_was_not_scanned(tmp_path: Path, compression: str | None) -> None:
    """Scanners fill what they left out with black; dark nuclei and dark glass are no such gap."""
    picture = draw_section(1600, 1200).copy()
    picture[:, :400] = 0
    picture[0:200, 800:1600] = 12  # nearly black, as JPEG leaves it
    picture[1000:1200, 800:1600] = (96, 62, 140)  # as dark as a nucleus
    path = write_pyramid(tmp_path / "black.tiff", picture, compression=compression)
    with_gaps = whole_slide(open_slide(path))
    assert with_gaps.fraction(Box(16, 16, 368, 1168)) == 0
    assert with_gaps.fraction(Box(816, 16, 768, 168)) == 0
    assert with_gaps.fraction(Box(816, 1016, 784, 184)) == 1
    assert with_gaps.fraction(Box(416, 216, 1184, 984)) == 1
    measured = np.count_nonzero(with_gaps.pixels) / with_gaps.pixels.size
    assert measured == pytest.approx(1 - (400 * 1200 + 800 * 200) / (1600 * 1200), abs=0.01)


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,480 × 20,480 px without coarse levels, of which the file holds 16 tiles of 1,600."""
    path = tmp_path_factory.mktemp("sparse") / "sparse.tif"
    island, side = draw_section(2048, 2048), 512

    def tiles() -> Iterator[NDArray[np.uint8] | None]:
        for row, column in product(range(40), range(40)):
            y, x = row * side, column * side
            yield island[y : y + side, x : x + side] if max(row, column) < 4 else None

    with tifffile.TiffWriter(path) as writer:
        writer.write(
            tiles(),
            shape=(20_480, 20_480, 3),
            dtype=np.uint8,
            tile=(side, side),
            photometric="rgb",
            compression="jpeg",
            resolution=(40_000, 40_000),
            resolutionunit="CENTIMETER",
            metadata=None,
        )
    return path


def test_of_a_sparse_slide_only_what_it_holds_is_read(
    sparse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[float] = []
    plain = SegmentReader.read

    def count(reader: SegmentReader, level: int, x: int, y: int, *size: int) -> Pixels:
        read.append(size[0] * size[1])
        return plain(reader, level, x, y, *size)

    monkeypatch.setattr(SegmentReader, "read", count)
    with open_slide(sparse) as slide:
        overview = read_overview(slide)
        assert sum(read) < 2 * (2048 + 4096) ** 2
        assert overview.usable[:64, :64].all()
        assert overview.usable.sum() == 64 * 64
        assert (overview.pixels[64:] == 255).all()
        read.clear()
        coarsest = np.asarray(dask_pyramid(slide)[-1])
        assert sum(read) < 2 * (2048 + 4096) ** 2
        assert (coarsest[130:, 130:] == 255).all()
        assert coarsest[:128, :128].std() > 3


def test_more_pixels_than_can_be_looked_at_are_refused_in_words(
    sparse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = 16 * 512 * 512
    with open_slide(sparse) as slide:
        monkeypatch.setattr(overview_module, "MOST_SOURCE_PIXELS", held)
        assert read_overview(slide).usable.any()
        monkeypatch.setattr(overview_module, "MOST_SOURCE_PIXELS", held - 1)
        with pytest.raises(TissueError, match=r"20,480×20,480 pixels in sparse\.tif"):
            read_overview(slide)


def test_what_memory_is_too_short_for_among_others_is_read_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_pyramid(tmp_path / "large.tif", draw_section(1200, 900), mpp=8.0, factors=(1,))

    def crowded(*arguments: Any) -> Pixels:
        if threading.current_thread() is not threading.main_thread():
            raise TileReadError(expected="a tile", found="an error", hint="") from MemoryError()
        return plain(*arguments)

    with open_slide(path) as slide:
        whole = read_overview(slide)
        plain = overview_module.read_resampled
        monkeypatch.setattr(overview_module, "read_resampled", crowded)
        again = read_overview(slide)
    np.testing.assert_array_equal(again.pixels, whole.pixels)
    assert not again.unreadable.any()


@pytest.mark.parametrize("mpp", [8.0, 10.0, 20.0])
def test_an_overview_is_never_finer_than_the_slide(tmp_path: Path, mpp: float) -> None:
    path = write_pyramid(tmp_path / "coarse.tif", draw_section(640, 480), mpp=mpp, factors=(1,))
    with open_slide(path) as slide:
        assert overview_size(slide) == (640, 480)
        np.testing.assert_array_equal(
            read_overview(slide).pixels, slide.read(Box(0, 0, 640, 480), 0)
        )
