"""A child process that opens damaged slides and does with each what a user would.

It says before each file which one comes, and afterwards what became of it; whoever listens knows
which file ended or held it up.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np

from napari_xmag.errors import TileReadError, XmagError
from napari_xmag.slide.base import Slide
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.overview import read_overview
from napari_xmag.slide.pyramid import dask_pyramid
from napari_xmag.slide.resample import read_resampled
from tests.fuzz.mutations import Keeps
from tests.fuzz.seeds import SIDE, place_of

_LOOK = 24
_NEAR = 16.0
_SPREAD = 6.0


def use(path: Path, corner: tuple[float, float], keeps: Keeps) -> str:
    """Open a slide, look at every level and at the whole; return what became of it.

    Parameters
    ----------
    corner
        Where the picture's corner lies on the slide.
    keeps
        How far its colours must tell where they lie.
    """
    try:
        with open_slide(path) as slide:
            wrong = _wrong_place(slide, corner, keeps)
            if max(slide.levels[0].width, slide.levels[0].height) < 5000:
                read_overview(slide)
                level = dask_pyramid(slide)[-1]
                np.asarray(level[:64, :64])
            return wrong or "opened"
    except XmagError as error:
        return "refused" if str(error) else "no words"
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"foreign: {type(error).__name__}: {error}"[:300]


def _wrong_place(slide: Slide, corner: tuple[float, float], keeps: Keeps) -> str:
    """Return words when a level shows something elsewhere than its colours say."""
    scale = 1.0
    if keeps is Keeps.SHAPE:
        corner, scale = (slide.bounds.x, slide.bounds.y), slide.bounds.width / SIDE
    for level in slide.levels:
        side = _LOOK / max(level.downsample, 1)
        for x in np.linspace(0, level.width, 5)[1:-1]:
            for y in np.linspace(0, level.height, 5)[1:-1]:
                box = level.box(round(x), round(y), max(1, round(side)), max(1, round(side)))
                try:
                    pixels = slide.read(box, level.index).astype(float)
                    read_resampled(slide, box, 8, 8)
                except TileReadError:
                    continue
                flat = pixels.reshape(-1, 3)
                # Background and damage have another blue, edges more than one colour.
                strange = abs(flat[:, 2] - 120).max() > _SPREAD or flat.std(0).max() > 2 * _SPREAD
                if strange or keeps is Keeps.NOTHING:
                    continue
                found = np.add(np.multiply(place_of(flat.mean(0)), scale), corner)
                if np.abs(found - box.center).max() > _NEAR + 2 * level.downsample:
                    return f"wrong place: level {level.index} shows {found} at {box.center}"
    return ""


def main() -> None:
    """Read lines of path, corner and what is kept, and answer each."""
    warnings.simplefilter("ignore")
    for line in sys.stdin:
        path, corner, keeps = json.loads(line)
        print(json.dumps(use(Path(path), tuple(corner), Keeps(keeps))), flush=True)


if __name__ == "__main__":
    main()
