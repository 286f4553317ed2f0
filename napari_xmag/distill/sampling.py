"""The fields of one slide or picture: where tissue is, in random order, the good ones kept."""

import logging
import re
import zlib
from collections import Counter
from collections.abc import Generator
from contextlib import closing

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from napari_xmag.distill.contact_sheet import ContactSheet
from napari_xmag.distill.quality import problem
from napari_xmag.distill.sources import FieldSource, is_picture
from napari_xmag.errors import ConfigError
from napari_xmag.fields.shards import ShardWriter
from napari_xmag.geometry import Box
from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.tissue import TissueMask

_log = logging.getLogger(__name__)

# Enlarging by less than this is a rounding of what is known of the pixel size.
_ENLARGED = 1.1


class PrepareConfig(BaseModel):
    """How fields are sampled; the same in every run into one folder."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    mpp: float = Field(
        default=0.5, gt=0, description="µm per pixel of the fields, exact (0.5 is 20x)."
    )
    field_px: int = Field(
        default=1024,
        ge=64,
        description="Side of a field: 4 times the student's tile (1024, or 896).",
    )
    per_slide: int = Field(
        default=200, ge=1, description="Largest number of fields per slide or image."
    )
    stride: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Step between candidate fields, in sides of a field; below 1 they overlap.",
    )
    min_tissue: float = Field(
        default=0.6, ge=0, le=1, description="Smallest share of tissue in a field."
    )
    quality: int = Field(
        default=90, ge=50, le=100, description="JPEG quality of the stored fields."
    )
    seed: int = Field(
        default=0, description="Seed of the sampling; each slide is sampled independently."
    )
    case: str | None = Field(
        default=None,
        description="Regular expression that finds the case in a name: its first group, or the "
        "whole match. The fields of a case are held out together. None: each slide and each "
        "subfolder of images is a case.",
    )

    @field_validator("case")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern


def candidates(slide: Slide, mask: TissueMask, config: PrepareConfig) -> list[Box]:
    """Return the boxes on the slide's lattice that hold enough tissue, in reading order.

    Raises
    ------
    MppMissingError
        When the slide states no mpp.
    """
    mpp, bounds = require_mpp(slide), slide.bounds
    side = config.field_px * config.mpp
    width, height = side / mpp.x, side / mpp.y
    xs = np.arange(bounds.x, bounds.right - width + 1e-6, width * config.stride)
    ys = np.arange(bounds.y, bounds.bottom - height + 1e-6, height * config.stride)
    boxes = [Box(float(x), float(y), width, height) for y in ys for x in xs]
    if not boxes:
        return []
    shares = mask.fractions(boxes)
    return [box for box, share in zip(boxes, shares, strict=True) if share >= config.min_tissue]


def sample(
    source: FieldSource,
    config: PrepareConfig,
    writer: ShardWriter,
    sheet: ContactSheet,
    rejected: Counter[str],
    readers: int | None = None,
) -> Generator[Progress, None, None]:
    """Append the good fields of a source to a shard.

    Parameters
    ----------
    rejected
        Counts what was left out, by reason.
    readers
        Threads that read; None: as many as suit this machine.

    Raises
    ------
    MppMissingError, SlideOpenError, TileReadError
        When the source cannot be read.
    ConfigError
        When a slide holds no tissue field; a picture without any is counted.
    """
    from napari_xmag.slide.tissue import find_tissue

    with closing(_open(source)) as slide:
        _say_scale(source, slide, config)
        boxes = candidates(slide, find_tissue(slide), config)
        if not boxes and is_picture(source):
            rejected["without tissue"] += 1
            return
        if not boxes:
            raise ConfigError(
                expected=f"tissue fields of {config.field_px} px at {config.mpp} µm/px",
                found=f"none in {source.name}",
                hint="Leave it out, or lower the smallest share of tissue.",
            )
        # Drawn by name, so that a slide gives the same fields in whatever company.
        draw = np.random.default_rng([config.seed, zlib.crc32(source.name.encode())])
        chosen = [boxes[index] for index in draw.permutation(len(boxes))]
        yield from _keep_good(source, slide, chosen, config, writer, sheet, rejected, readers)


def _say_scale(source: FieldSource, slide: Slide, config: PrepareConfig) -> None:
    """Warn when fields are enlarged: what the teacher would see at 20x is not there."""
    enlarged = require_mpp(slide).mean / config.mpp
    if enlarged > _ENLARGED:
        _log.warning("%s is magnified %.1f times: it has no such detail.", source.name, enlarged)


def _open(source: FieldSource) -> Slide:
    from napari_xmag.slide.open import open_slide
    from napari_xmag.slide.picture import PictureSlide

    if source.mpp is None:
        return open_slide(source.path)
    return PictureSlide(source.path, source.mpp)


def _keep_good(
    source: FieldSource,
    slide: Slide,
    boxes: list[Box],
    config: PrepareConfig,
    writer: ShardWriter,
    sheet: ContactSheet,
    rejected: Counter[str],
    readers: int | None,
) -> Generator[Progress, None, None]:
    from napari_xmag.slide.tiles import read_tiles

    meter = ProgressMeter(
        Stage.SAMPLING, min(config.per_slide, len(boxes)), "fields", item=source.name
    )
    with closing(read_tiles(slide, boxes, config.field_px, workers=readers)) as tiles:
        for tile in tiles:
            if tile is not None and tile.pixels is None:
                rejected["unreadable"] += 1
            elif tile is not None and tile.pixels is not None:
                if reason := problem(tile.pixels):
                    rejected[reason] += 1
                    sheet.leave_out(tile.pixels, reason)
                else:
                    writer.add(boxes[tile.index], tile.pixels, slide=source.name, case=source.case)
                    sheet.keep(tile.pixels)
                    meter.add(1)
            yield meter.event()
            if meter.done == config.per_slide:
                return
