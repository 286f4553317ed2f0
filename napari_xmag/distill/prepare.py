"""Sample tissue fields of whole slides into shards; one slide after the other, one shard each."""

import json
import logging
import zlib
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from napari_xmag.analyze.files import whole_file
from napari_xmag.distill.quality import problem
from napari_xmag.distill.shards import FieldRecord, ShardWriter, write_index
from napari_xmag.errors import ConfigError, XmagError
from napari_xmag.geometry import Box
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.tissue import TissueMask
from napari_xmag.train.beat import Pace
from napari_xmag.train.events import Progress

log = logging.getLogger(__name__)


class PrepareConfig(BaseModel):
    """How fields are sampled; the same in every run into one folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    mpp: float = Field(
        default=0.5, gt=0, description="µm per pixel of the fields, exact (0.5 is 20x)."
    )
    field_px: int = Field(
        default=1024,
        ge=64,
        description="Side of a field: 4 times the student's tile (1024, or 896).",
    )
    per_slide: int = Field(default=200, ge=1, description="Most fields of one slide.")
    stride: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Step between candidates, in field sides; below 1 they overlap.",
    )
    min_tissue: float = Field(
        default=0.6, ge=0, le=1, description="Least share of tissue in a field."
    )
    quality: int = Field(
        default=90, ge=50, le=100, description="JPEG quality of the stored fields."
    )
    seed: int = Field(default=0, description="Seed of the sampling; each slide draws for itself.")


@dataclass(frozen=True, slots=True)
class SlidePrepared:
    """One slide is done: fields kept, candidates looked at and left out by reason, or an error."""

    slide: str
    fields: int
    rejected: dict[str, int]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """All slides are done and the index is written."""

    folder: Path
    fields: int
    failed: tuple[SlidePrepared, ...]


def prepare(
    slides: Sequence[Path], out: Path, config: PrepareConfig | None = None
) -> Generator[Progress | SlidePrepared | Prepared, None, None]:
    """Sample fields of slides into ``out``; what is there already is kept.

    A slide counts as done when its report is written, which happens after its shard: a run that
    was killed is simply started again. A slide that fails is reported and the rest goes on.

    Yields
    ------
    Progress within a slide, one SlidePrepared for each, at last Prepared.

    Raises
    ------
    ConfigError
        When ``out`` holds fields made with other settings.
    """
    config = config or PrepareConfig()
    _require_same_settings(out, config)
    failed: list[SlidePrepared] = []
    for path in slides:
        done = _report(out, path)
        if done is None:
            try:
                done = yield from _prepare_slide(path, out, config)
            except XmagError as error:
                log.warning("%s: %s", path.name, error.details())
                done = SlidePrepared(path.name, 0, {}, str(error))
                failed.append(done)
        yield done
    records = _all_records(out)
    write_index(out, records)
    yield Prepared(out, len(records), tuple(failed))


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


def _prepare_slide(
    path: Path, out: Path, config: PrepareConfig
) -> Generator[Progress, None, SlidePrepared]:
    from napari_xmag.slide.open import open_slide
    from napari_xmag.slide.tissue import find_tissue

    with closing(open_slide(path)) as slide:
        boxes = candidates(slide, find_tissue(slide), config)
        if not boxes:
            raise ConfigError(
                wanted=f"tissue fields of {config.field_px} px at {config.mpp} µm/px",
                found=f"none in {path.name}",
                remedy="Leave this slide out, or lower the least share of tissue.",
            )
        # Drawn by name, so that a slide gives the same fields in whatever company.
        draw = np.random.default_rng([config.seed, zlib.crc32(path.name.encode())])
        chosen = [boxes[i] for i in draw.permutation(len(boxes))]
        shard = out / f"{_stem(path)}.tar"
        writer = ShardWriter(shard, slide=path.name, mpp=config.mpp, quality=config.quality)
        rejected: dict[str, int] = {}
        try:
            yield from _keep_good(slide, chosen, config, writer, rejected)
            writer.finish()
        except BaseException:
            writer.discard()
            raise
    return _write_report(out, path, writer.records, rejected)


def _keep_good(
    slide: Slide,
    boxes: list[Box],
    config: PrepareConfig,
    writer: ShardWriter,
    rejected: dict[str, int],
) -> Iterator[Progress]:
    from napari_xmag.slide.tiles import read_tiles

    pace = Pace(slide.path.name, min(config.per_slide, len(boxes)))
    with closing(read_tiles(slide, boxes, config.field_px)) as tiles:
        for tile in tiles:
            if tile is not None:
                reason = "unreadable" if tile.pixels is None else problem(tile.pixels)
                if tile.pixels is None or reason:
                    rejected[reason] = rejected.get(reason, 0) + 1
                else:
                    writer.add(boxes[tile.index], tile.pixels)
                    pace.add(1)
            yield pace.event()
            if pace.done == config.per_slide:
                return


def _stem(path: Path) -> str:
    """Name of a slide's shard; slides of one name in two folders differ by a hash of the folder."""
    return f"{path.stem}-{zlib.crc32(str(path.resolve().parent).encode()):08x}"


def _report_path(out: Path, path: Path) -> Path:
    return out / "reports" / f"{_stem(path)}.json"


def _report(out: Path, path: Path) -> SlidePrepared | None:
    report = _report_path(out, path)
    if not report.exists():
        return None
    content = json.loads(report.read_text(encoding="utf-8"))
    return SlidePrepared(content["slide"], len(content["fields"]), content["rejected"])


def _write_report(
    out: Path, path: Path, records: list[FieldRecord], rejected: dict[str, int]
) -> SlidePrepared:
    content = {"slide": path.name, "rejected": rejected, "fields": [asdict(r) for r in records]}
    _write_json(_report_path(out, path), content)
    return SlidePrepared(path.name, len(records), rejected)


def _all_records(out: Path) -> list[FieldRecord]:
    reports = sorted((out / "reports").glob("*.json"))
    rows = [json.loads(report.read_text(encoding="utf-8"))["fields"] for report in reports]
    return [FieldRecord(**row) for group in rows for row in group]


def _require_same_settings(out: Path, config: PrepareConfig) -> None:
    (out / "reports").mkdir(parents=True, exist_ok=True)
    path = out / "prepare.json"
    wanted = config.model_dump()
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else wanted
    if found != wanted:
        differing = sorted(key for key in wanted if found.get(key) != wanted[key])
        raise ConfigError(
            wanted=f"the settings with which the fields in {out} were made",
            found=f"another {', '.join(differing)}",
            remedy="Use the same settings, or another folder.",
        )
    _write_json(path, wanted)


def _write_json(path: Path, content: object) -> None:
    with whole_file(path) as part:
        part.write_text(json.dumps(content), encoding="utf-8")
