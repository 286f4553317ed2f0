#!/usr/bin/env python3
"""Report what the tissue finder does on every slide in and below a folder.

usage: tissue_report.py FOLDER [--assume-mpp 1.0] [--sheet tissue.png]

Prints a table in Markdown, one row for each picture of each slide, in per cent:

- tissue: of what was scanned;
- pen, smears: of what is not glass, left out as strokes of a pen and as smears. On a slide without
  marks, what these two take is lost tissue;
- kept: of what is not glass, as smooth as pen or a smear, but kept and flagged;
- flags: what the analysis would say about the tissue.

Where a picture STEM_tissue_mask.png lies beside a slide and shows the whole of it (0 is glass), the
row ends with the intersection over union of both. --assume-mpp is for slides that state no pixel
size. --sheet draws the outlines of what was found, all slides on one picture.
"""

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import binary_erosion

from napari_xmag.analyze.flags import finder_flags
from napari_xmag.errors import XmagError
from napari_xmag.markdown import table
from napari_xmag.slide.base import Slide
from napari_xmag.slide.find import find_slides
from napari_xmag.slide.open import list_images, open_slide
from napari_xmag.slide.overview import read_overview
from napari_xmag.slide.tissue import TissueMask, find_tissue

_TITLES = ("slide", "tissue", "pen", "smears", "kept", "flags", "IoU")
_CELL, _CAPTION, _OUTLINE = 480, 16, (0, 170, 70)


@dataclass(frozen=True, eq=False)
class Finding:
    """What was found on one picture of a slide, or why nothing was."""

    name: str
    mask: TissueMask | None = None
    overlap: float | None = None
    outlined: NDArray[np.uint8] | None = None
    failed: str = ""

    @property
    def row(self) -> tuple[str, ...]:
        """One row of the table."""
        if self.mask is None or self.mask.findings is None:
            return (self.name, *[""] * 4, self.failed, "")
        found = self.mask.findings
        shares = [
            f"{100 * share:.2f}" for share in (found.tissue, found.pen, found.smears, found.kept)
        ]
        flags = ", ".join(flag.code for flag in finder_flags(self.mask))
        return (self.name, *shares, flags, "" if self.overlap is None else f"{self.overlap:.3f}")


def main() -> None:
    """Print the table, and draw the sheet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--assume-mpp", type=float)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    findings = list(find_all(args.folder, args.assume_mpp))
    print(table(_TITLES, [finding.row for finding in findings]))
    if args.sheet:
        sheet(findings).save(args.sheet)


def find_all(folder: Path, assumed_mpp: float | None) -> Iterator[Finding]:
    """Find tissue on all slides below a folder; what cannot be read is a row, too."""
    for path in find_slides([folder]).slides:
        try:
            images = list_images(path)
        except XmagError as error:
            yield Finding(path.name, failed=str(error))
            continue
        for image in images:
            name = path.name if len(images) == 1 else f"{path.name} #{image.index}"
            try:
                yield _find(path, image.index, name, assumed_mpp)
            except XmagError as error:
                yield Finding(name, failed=str(error))


def _find(path: Path, number: int, name: str, assumed_mpp: float | None) -> Finding:
    with open_slide(path, image=number) as slide:
        if slide.mpp is not None:
            return _measured(slide, name)
    with open_slide(path, assumed_mpp, image=number) as slide:
        return _measured(slide, name)


def _measured(slide: Slide, name: str) -> Finding:
    mask = find_tissue(slide)
    reference = slide.path.with_name(f"{slide.path.stem}_tissue_mask.png")
    overlap = iou(mask, reference) if reference.exists() else None
    return Finding(name, mask, overlap, outlined(read_overview(slide).pixels, mask.pixels))


def iou(mask: TissueMask, reference: Path) -> float:
    """Return intersection over union with a picture of the whole slide, at the mask's pixels."""
    height, width = mask.pixels.shape
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(reference) as opened:
            picture = opened.convert("L").point(lambda value: 255 * (value > 0))
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    tissue = np.asarray(picture.resize((width, height), Image.Resampling.BOX)) > 127
    return float((tissue & mask.pixels).sum() / max(1, (tissue | mask.pixels).sum()))


def outlined(pixels: NDArray[np.uint8], tissue: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a small picture of a slide, uint8 (H, W, 3), with the outline of its tissue."""
    scale = (_CELL - _CAPTION) / max(tissue.shape)
    height, width = (max(1, round(side * scale)) for side in tissue.shape)
    small = np.array(Image.fromarray(pixels).resize((width, height)))
    inside = np.asarray(Image.fromarray(tissue).resize((width, height)))
    small[inside & ~binary_erosion(inside, iterations=2)] = _OUTLINE
    return small


def sheet(findings: Sequence[Finding]) -> Image.Image:
    """Return all outlines side by side, each below its slide's name."""
    drawn = [(finding.name, finding.outlined) for finding in findings]
    columns = max(1, math.ceil(math.sqrt(len(drawn))))
    size = columns * _CELL, max(1, math.ceil(len(drawn) / columns)) * _CELL
    whole = Image.new("RGB", size, (110, 110, 110))
    draw = ImageDraw.Draw(whole)
    for place, (name, pixels) in enumerate(drawn):
        x, y = place % columns * _CELL, place // columns * _CELL
        draw.text((x + 2, y + 2), name[: _CELL // 7])
        if pixels is not None:
            whole.paste(Image.fromarray(pixels), (x, y + _CAPTION))
    return whole


if __name__ == "__main__":
    main()
