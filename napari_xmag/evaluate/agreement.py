"""How much of a teacher's features students retain, on held-out cases."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag._about import NOTICE
from napari_xmag.analyze.provenance import program_versions
from napari_xmag.errors import ConfigError
from napari_xmag.evaluate.config import AgreementConfig
from napari_xmag.evaluate.encoders import TileSource, load_source
from napari_xmag.evaluate.report import FORMAT
from napari_xmag.fields.pairs import CachedPairs
from napari_xmag.fields.shards import FieldRecord, read_index
from napari_xmag.fields.split import evenly_spaced, held_out, rows_of
from napari_xmag.fields.teacher_cache import cached_pairs
from napari_xmag.filenames import RESULTS, RESULTS_TABLE
from napari_xmag.files import whole_file, write_json
from napari_xmag.markdown import table
from napari_xmag.nets.device import encode_both, pick_device
from napari_xmag.nets.teachers.teacher import Teacher, load_teacher
from napari_xmag.progress.events import Progress, RunFinished, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_with_progress
from napari_xmag.stats.agreement import agreement, cells_as_rows

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Agreement:
    """How well a student's features predict the teacher's: 1 is all of them, 0 none.

    Attributes
    ----------
    whole
        Of the field: embedding against the mean over its tiles.
    cells
        Of each cell against its own tile.
    """

    encoder: str
    whole: float
    cells: float


def evaluate_agreement(
    config: AgreementConfig, out: Path
) -> Generator[Progress | RunFinished, None, list[Agreement]]:
    """Evaluate how much of the teacher's features students retain; see `agreement`.

    Parameters
    ----------
    out
        Gets results.json and results.md, and the teacher's features where no cache is named.

    Raises
    ------
    ConfigError
        When the fields are unusable, or do not fit a student's tile.
    ModelError
        When teacher or student does not load.
    """
    records = read_index(config.fields)[: config.limit]
    cases = held_out(records, config.validation, config.seed)
    testing = rows_of(records, cases)
    others = np.setdiff1d(np.arange(len(records)), testing)
    training = evenly_spaced(others, config.training_fields)
    teacher = load_teacher(config.teacher.spec()).to(pick_device(config.machine.device))
    found, facts = [], {}
    for settings in config.encoders:
        source = yield from load_source(settings, config.machine, None)
        facts[settings.name] = source.facts()
        pairs = yield from _pairs(config, out, records, teacher, source)
        meter = ProgressMeter(Stage.PROBING, item=settings.name)
        work = partial(_agreement, settings.name, pairs, source, training, testing)
        found.append((yield from run_with_progress(work, meter)))
        del source  # the next network may be as large
    words = (
        f"Teacher {config.teacher.spec().origin()['name']}. Fitted on {len(training)} fields, "
        f"tested on all {len(testing)} of the {len(cases)} cases held out: {', '.join(cases)}."
    )
    _write(out, config, found, facts, words)
    yield RunFinished(out, {"encoders": [asdict(one) for one in found]})
    return found


def _pairs(
    config: AgreementConfig,
    out: Path,
    records: Sequence[FieldRecord],
    teacher: Teacher,
    source: TileSource,
) -> Generator[Progress, None, CachedPairs]:
    spec = source.student.spec
    if spec.cells < 2:
        raise ConfigError(
            expected="a student with one cell for each teacher tile",
            found=f"{spec.cells} cell per tile",
            hint="Compare it with evaluate probe instead.",
        )
    cache = config.cache or out / "cache"
    return (yield from cached_pairs(config.fields, records, teacher, spec, cache))


def _agreement(
    name: str, pairs: CachedPairs, source: TileSource, training: Rows, testing: Rows
) -> Agreement:
    whole, cells = [], []
    for rows in (training, testing):
        tiles = np.ascontiguousarray(pairs.views[rows].transpose(0, 2, 3, 1))
        grid = pairs.targets[rows].astype(np.float32)
        grid = grid.reshape(len(rows), -1, grid.shape[-1])
        embeddings, parts = encode_both(source.student, tiles, source.batch)
        whole.append((embeddings.cpu().numpy(), grid.mean(1)))
        cells.append((cells_as_rows(parts.cpu().numpy()), cells_as_rows(grid)))
    return Agreement(name, agreement(*whole), agreement(*cells))


def _write(
    out: Path,
    config: AgreementConfig,
    found: Sequence[Agreement],
    facts: Mapping[str, Any],
    words: str,
) -> None:
    content = {
        "format": FORMAT,
        "kind": "agreement",
        "notice": NOTICE,
        "division": words,
        "agreement": [asdict(one) for one in found],
        "encoders": facts,
        "config": config.model_dump(mode="json"),
        "versions": program_versions(),
    }
    write_json(out / RESULTS, content)
    rows = [(one.encoder, f"{one.whole:.3f}", f"{one.cells:.3f}") for one in found]
    figures = table(("encoder", "whole field", "cells"), rows)
    parts = (f"**{NOTICE}**", "## Agreement with the teacher", words, figures)
    with whole_file(out / RESULTS_TABLE) as part:
        part.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
