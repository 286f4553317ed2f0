"""Sample tissue fields into shards, by one worker or many; each part is done whole or not."""

import logging
import os
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from napari_xmag.distill.contact_sheet import ContactSheet
from napari_xmag.distill.sampling import PrepareConfig, sample
from napari_xmag.distill.sources import FieldSource, Part, find_sources, parts
from napari_xmag.errors import ConfigError, ExportError, TileReadError, XmagError
from napari_xmag.fields.shards import FieldRecord, write_index, write_shard
from napari_xmag.filenames import PREPARED
from napari_xmag.files import parse_json, write_json
from napari_xmag.progress.events import Progress, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, finish

__all__ = ["PrepareConfig", "Prepared", "SlidePrepared", "prepare"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SlidePrepared:
    """One slide, or some pictures, are done.

    Attributes
    ----------
    slide
        Its name.
    fields
        How many were kept.
    rejected
        How many were left out, by reason.
    error
        Why there are none; empty when all went well.
    """

    slide: str
    fields: int
    rejected: Mapping[str, int] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """All is done and the index is written."""

    folder: Path
    fields: int
    failed: tuple[SlidePrepared, ...]


def prepare(
    places: Sequence[Path],
    out: Path,
    config: PrepareConfig | None = None,
    *,
    tiles_mpp: float | None = None,
    workers: int = 1,
    scheduler: str | None = None,
) -> Generator[Progress | SlidePrepared | Prepared, None, None]:
    """Sample fields of slides and pictures into ``out``; what is there already is kept.

    A slide counts as done when its report is written, which happens after its shard: a run that
    was killed is simply started again. A slide that fails is reported and the rest goes on. Only
    one run at a time works on a folder.

    Parameters
    ----------
    places, tiles_mpp
        What is sampled, see `napari_xmag.distill.sources.find_sources`.
    workers
        Processes; one works in this process.
    scheduler
        Address of a dask scheduler, whose workers see the same files under the same paths.

    Yields
    ------
    Progress, a SlidePrepared for each slide and each failure, at last Prepared.

    Raises
    ------
    MppMissingError
        When pictures have no pixel size.
    ConfigError
        When ``out`` holds fields made with other settings, or the scheduler does not answer.
    ExportError
        When ``out`` cannot be written.
    """
    config = config or PrepareConfig()
    if workers < 1:
        raise ConfigError(
            expected="at least one worker", found=str(workers), hint="Correct --workers."
        )
    sources = find_sources(places, tiles_mpp=tiles_mpp, case=config.case)
    _require_same_settings(out, config)
    reports = _reports(out)
    wanted = {source.key for source in sources}
    yield from (_said(report) for report in reports if not wanted.isdisjoint(report["sources"]))
    done = {key for report in reports for key in report["sources"]}
    left = parts([source for source in sources if source.key not in done])
    _remove_leftovers(out)
    failed: list[SlidePrepared] = []
    if workers == 1 and scheduler is None:
        steps = _one_by_one(left, out, config)
    else:
        steps = _by_workers(left, out, config, workers, scheduler)
    for event in steps:
        if isinstance(event, SlidePrepared) and event.error:
            failed.append(event)
        yield event
    records = [FieldRecord(**row) for report in _reports(out) for row in report["fields"]]
    write_index(out, records)
    yield Prepared(out, len(records), tuple(failed))


def _one_by_one(
    left: Sequence[Part], out: Path, config: PrepareConfig
) -> Generator[Progress | SlidePrepared, None, None]:
    for part in left:
        try:
            yield from (yield from prepare_part(part, out, config))
        except XmagError as error:
            yield _lost(part, error)


def _by_workers(
    left: Sequence[Part], out: Path, config: PrepareConfig, workers: int, scheduler: str | None
) -> Generator[Progress | SlidePrepared, None, None]:
    from napari_xmag.workers.cluster import on_workers

    cores = os.cpu_count() or 1
    readers = None if scheduler else max(1, cores // workers)
    work = partial(_prepare_whole, out=out.resolve(), config=config, readers=readers)
    meter = ProgressMeter(Stage.SAMPLING, len(left), "slides")
    for ended in on_workers(work, left, workers=workers, scheduler=scheduler):
        if ended is not None:
            part, outcome = ended
            meter.add(1)
            yield from [_lost(part, outcome)] if isinstance(outcome, BaseException) else outcome
        yield meter.event()


def _prepare_whole(
    part: Part, *, out: Path, config: PrepareConfig, readers: int | None
) -> list[SlidePrepared]:
    """Prepare a part on a worker, unless one did it and was lost before it could say so."""
    report = _report(_report_path(out, part))
    return [_said(report)] if report else finish(prepare_part(part, out, config, readers))


def prepare_part(
    part: Part, out: Path, config: PrepareConfig, readers: int | None = None
) -> Generator[Progress, None, list[SlidePrepared]]:
    """Make the shard, the contact sheet and the report of a part; the report comes last.

    Returns
    -------
    What became of the part, and of each of its sources that failed.

    Raises
    ------
    ExportError
        When ``out`` cannot be written: no other part could be, either.
    """
    rejected: Counter[str] = Counter()
    failed: dict[str, SlidePrepared] = {}
    sheet, shard = ContactSheet(), out / f"{part.key}.tar"
    with write_shard(shard, mpp=config.mpp, quality=config.quality) as writer:
        for source in part.sources:
            begun = len(writer.records)
            try:
                yield from sample(source, config, writer, sheet, rejected, readers)
            except ExportError:
                raise
            except Exception as error:
                if len(writer.records) > begun:
                    raise _broke_off(source, error) from error
                failed[source.key] = _failure(source.name, error)
    good = [source for source in part.sources if source.key not in failed]
    if not writer.records:
        shard.unlink()
    if not good:
        return list(failed.values())
    sheet.write(
        _report_path(out, part).with_suffix(".jpg"),
        f"{part.name}: fields of {config.field_px * config.mpp:g} µm at {config.mpp:g} µm/px",
        rejected,
    )
    report = _write_report(out, part, good, writer.records, rejected)
    return [_said(report), *failed.values()]


def _lost(part: Part, error: BaseException) -> SlidePrepared:
    """Say what ended a part; where nothing can be written all other work would be in vain."""
    if isinstance(error, ExportError):
        raise error
    return _failure(part.name, error)


def _failure(name: str, error: BaseException) -> SlidePrepared:
    if isinstance(error, XmagError):
        _log.warning("%s: %s", name, error.details())
        return SlidePrepared(name, 0, {}, str(error))
    _log.warning("%s: %s", name, error, exc_info=error)
    return SlidePrepared(name, 0, {}, f"{type(error).__name__}: {error}")


def _broke_off(source: FieldSource, error: Exception) -> TileReadError:
    """Fields of this source are in the shard already: all of the shard is given up."""
    return TileReadError(
        expected=f"to read {source.name} to its end",
        found=str(error),
        hint="Check the file, or leave it out.",
        causes=[error],
    )


def _report_path(out: Path, part: Part) -> Path:
    return out / "reports" / f"{part.key}.json"


def _write_report(
    out: Path,
    part: Part,
    sources: Sequence[FieldSource],
    records: Sequence[FieldRecord],
    rejected: Mapping[str, int],
) -> dict[str, Any]:
    content = {
        "slide": part.name,
        "sources": [source.key for source in sources],
        "rejected": dict(rejected),
        "fields": [asdict(record) for record in records],
    }
    write_json(_report_path(out, part), content)
    return content


def _said(report: Mapping[str, Any]) -> SlidePrepared:
    return SlidePrepared(report["slide"], len(report["fields"]), report["rejected"])


def _reports(out: Path) -> list[dict[str, Any]]:
    found = [_report(path) for path in sorted((out / "reports").glob("*.json"))]
    return [report for report in found if report is not None]


def _report(path: Path) -> dict[str, Any] | None:
    """Return a report whose shard is there too."""
    if not path.exists():
        return None
    report: dict[str, Any] = parse_json(path.read_text(encoding="utf-8"))
    shard = path.parents[1] / f"{path.stem}.tar"
    return report if shard.exists() or not report["fields"] else None


def _remove_leftovers(out: Path) -> None:
    """Remove what a killed run left unfinished."""
    for path in [*out.glob(".part-*"), *(out / "reports").glob(".part-*")]:
        path.unlink(missing_ok=True)


def _require_same_settings(out: Path, config: PrepareConfig) -> None:
    path = out / PREPARED
    wanted = config.model_dump()
    found = parse_json(path.read_text(encoding="utf-8")) if path.exists() else wanted
    if found != wanted:
        differing = sorted(key for key in wanted if found.get(key) != wanted[key])
        raise ConfigError(
            expected=f"the settings with which the fields in {out} were made",
            found=f"different values of {', '.join(differing)}",
            hint="Use the same settings, or another folder.",
        )
    write_json(path, wanted)
