"""Labelled example slides, made by the computer, to try a training with.

They are composed like the built-in sample slide (`napari_xmag.slide.sample`): one picture of
scikit-image, stained anew, mirrored and bent. Slides named *even* show it as it is; those named
*crowded* hold some spots where nuclei stand closer and darker. A model can learn that, but it
learns nothing about any disease.
"""

import csv
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ConfigError
from napari_xmag.filenames import COHORT
from napari_xmag.files import whole_file
from napari_xmag.slide.sample import EXAMPLE_WORDS, block_means, laid_on_glass, stained_pictures

COHORT_MPP = 1.0
"""µm per pixel of the slides."""

LABELS = ("even", "crowded")

_FEWEST = 4
_WIDTH, _HEIGHT, _TILE, _STEP = 3072, 2048, 256, 4
_CROWDING = 1.7  # how much closer nuclei stand in a spot
_SPOTS = (2, 4)
_RADIUS = (230.0, 420.0)  # of a spot, in pixels

_Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SampleSlide:
    """One example slide: its file, class and patient."""

    path: Path
    label: str
    patient: str


def write_sample_cohort(
    folder: Path, slides: int = 32, seed: int = 0
) -> Generator[SampleSlide, None, None]:
    """Write labelled slides and their table; each slide is yielded when it lies there.

    Parameters
    ----------
    folder
        Gets ``even-01.tif``, ``crowded-01.tif``, … and ``cohort.csv``; slides that lie there are
        kept.
    slides
        How many, 4 at least; the classes alternate. Of each class every fourth slide is of the same
        patient as the one before.
    seed
        Seed of places, spots and stain.

    Raises
    ------
    ConfigError
        When ``slides`` is too small.
    ExportError
        When the folder cannot be written.
    """
    if slides < _FEWEST:
        raise ConfigError(
            expected=f"{_FEWEST} example slides or more",
            found=str(slides),
            hint="Ask for more: a few of each class are needed to train, to choose and to judge.",
        )
    made = [_name(folder, number) for number in range(slides)]
    pictures = None
    for number, slide in enumerate(made):
        if not slide.path.exists():
            pictures = _pictures() if pictures is None else pictures
            pixels = _paint(pictures, slide.label, np.random.default_rng([seed, number]))
            with whole_file(slide.path) as part:
                _write(part, pixels)
        yield slide
    with (
        whole_file(folder / COHORT) as part,
        part.open("w", newline="", encoding="utf-8") as stream,
    ):
        table = csv.writer(stream)
        table.writerow(["slide", "label", "patient"])
        table.writerows([slide.path.name, slide.label, slide.patient] for slide in made)


def _name(folder: Path, number: int) -> SampleSlide:
    label = LABELS[number % 2]
    place = number // 2
    # Slides 3 and 4 of a class are of one patient, so are 7 and 8, …
    patient = f"{label[0].upper()}{place + 1 - (place % 4 == 3):02d}"
    return SampleSlide(folder / f"{label}-{place + 1:02d}.tif", label, patient)


def _pictures() -> _Pixels:
    """Return the pictures at ``COHORT_MPP``, from pale to dark nuclei: (S, H, W, 3)."""
    return block_means(stained_pictures(), 2)


def _paint(pictures: _Pixels, label: str, draw: np.random.Generator) -> _Pixels:
    """Return the pixels of a slide, uint8 (_HEIGHT, _WIDTH, 3)."""
    y = np.arange(_HEIGHT, dtype=np.float32)[:, None]
    x = np.arange(_WIDTH, dtype=np.float32)[None, :]
    waves = draw.uniform(0, 2 * np.pi, 4)
    tissue = _fine(_outline(x[:, ::_STEP], y[::_STEP], draw))
    spots = _fine(_spots(x[:, ::_STEP], y[::_STEP], draw, label == LABELS[1]))
    closer = np.where(spots, np.float32(_CROWDING), np.float32(1))
    row = closer * (y + 85 * np.sin(x / 245 + waves[0]) + 45 * np.sin(y / 155 + waves[1]))
    column = closer * (x + 75 * np.sin(y / 215 + waves[2]))
    shades = len(pictures)
    # The stain of a slide is its own, so that darkness alone tells little.
    base = shades * (draw.uniform(0.15, 0.5) + 0.12 * np.sin(x / 700 + waves[3]))
    shade = np.minimum(base + 0.35 * shades * spots, shades - 1).astype(np.int32)
    places = shade, row.astype(np.int32), column.astype(np.int32)
    return laid_on_glass(pictures, places, tissue)


def _fine(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    fine: NDArray[np.bool_] = mask.repeat(_STEP, 0).repeat(_STEP, 1)
    return fine


def _outline(
    x: NDArray[np.float32], y: NDArray[np.float32], draw: np.random.Generator
) -> NDArray[np.bool_]:
    across, down = x / _WIDTH - 0.5, y / _HEIGHT - 0.5
    angle = np.arctan2(down, across)
    turn = draw.uniform(0, 2 * np.pi, 2)
    rim = 0.9 + 0.1 * np.sin(3 * angle + turn[0]) + 0.05 * np.sin(7 * angle + turn[1])
    inside: NDArray[np.bool_] = np.hypot(across / 0.44, down / 0.42) < rim
    return inside


def _spots(
    x: NDArray[np.float32], y: NDArray[np.float32], draw: np.random.Generator, crowded: bool
) -> NDArray[np.bool_]:
    inside = np.zeros((y.size, x.size), bool)
    for _ in range(int(draw.integers(_SPOTS[0], _SPOTS[1] + 1)) if crowded else 0):
        center_x = draw.uniform(0.25, 0.75) * _WIDTH
        center_y = draw.uniform(0.25, 0.75) * _HEIGHT
        inside |= np.hypot(x - center_x, y - center_y) < draw.uniform(*_RADIUS)
    return inside


def _write(path: Path, pixels: _Pixels) -> None:
    import tifffile

    with tifffile.TiffWriter(path) as writer:
        for level, levels_pixels in enumerate((pixels, block_means(pixels, _STEP))):
            mpp = COHORT_MPP * _STEP**level
            writer.write(
                levels_pixels,
                tile=(_TILE, _TILE),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 85},
                subfiletype=int(level > 0),
                resolution=(1e4 / mpp, 1e4 / mpp),
                resolutionunit="CENTIMETER",
                description=EXAMPLE_WORDS if not level else None,
                metadata=None,
            )
