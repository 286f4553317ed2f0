"""What a distillation leaves beside its student, by which it resumes: settings, end, versions."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from napari_xmag._about import __version__
from napari_xmag.distill.config import DistillConfig
from napari_xmag.distill.validate import MONITOR
from napari_xmag.errors import ConfigError
from napari_xmag.fields.shards import FieldRecord
from napari_xmag.filenames import CHECKPOINT, CONFIG, ENDED, WEIGHTS
from napari_xmag.files import parse_json, write_json
from napari_xmag.learn.checkpoint import load_facts, require_same_settings
from napari_xmag.learn.distributed import Processes, wait_for_all
from napari_xmag.learn.fit import resuming_settings
from napari_xmag.nets.folders.folder import file_sha256

_SETTINGS = "settings"
_METRICS = "metrics"
_STUDENT = "student"


def monitor_of(config: DistillConfig) -> str | None:
    """Return the figure whose best epoch is kept; None where the last one is."""
    return MONITOR if config.run.keep == "best" or config.fit.patience else None


def decisive_settings(config: DistillConfig, records: Sequence[FieldRecord]) -> dict[str, Any]:
    """Return what decides the student beside ``fit``; not where things lie or compute."""
    said = config.model_dump(
        mode="json",
        exclude={
            "fit": True,
            "data": {"fields", "cache"},
            "run": {"out", "records", "device", "threads", "licence", "compile"},
        },
    )
    hashes = "\n".join(record.sha256 for record in records)
    return said | {"fields": hashlib.sha256(hashes.encode()).hexdigest()}


def open_folder(
    config: DistillConfig,
    settings: Mapping[str, Any],
    processes: Processes,
    *,
    resume: bool,
    restart: bool,
) -> dict[str, Any] | None:
    """Make the folder of records ready; never overwrite a run unasked.

    Parameters
    ----------
    settings
        See `decisive_settings`.

    Returns
    -------
    Where the run that is to be resumed has ended and its student is there: its figures.

    Raises
    ------
    ConfigError
        When there is an earlier run and it was not said what to do with it, or what is to be
        resumed was made with other settings; nothing has been written then.
    ModelError
        When the checkpoint is broken.
    """
    folder = config.run.record_folder
    checkpoint = folder / CHECKPOINT
    if resume:
        _require_records(config)
    elif not restart:
        _require_new(config)
    noted = _noted(folder / ENDED) if resume else None
    if noted:
        require_same_settings(noted[_SETTINGS], _wanted(config, settings), folder / ENDED)
    elif resume and checkpoint.exists():
        found = load_facts(checkpoint)[_SETTINGS]
        require_same_settings(found, _wanted(config, settings), checkpoint)
    metrics = None
    # A student that is gone or another one, or that states another licence, is written again.
    if noted and (student := _student(config)) and noted[_STUDENT] == student:
        metrics = dict(noted[_METRICS])
    wait_for_all(processes)
    if processes.first and metrics is None:
        (folder / ENDED).unlink(missing_ok=True)
        if not resume:
            checkpoint.unlink(missing_ok=True)
        about = {
            "napari-xmag": __version__,
            "torch": torch.__version__,
            "processes": processes.world,
        }
        content = {"versions": about, **config.model_dump(mode="json")}
        write_json(folder / CONFIG, content)
    wait_for_all(processes)
    return metrics


def end_folder(
    config: DistillConfig, settings: Mapping[str, Any], metrics: Mapping[str, Any]
) -> None:
    """Note that the student is written, from what settings and with what figures.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    made_with = _wanted(config, settings)
    content = {_SETTINGS: made_with, _METRICS: dict(metrics), _STUDENT: _student(config)}
    write_json(config.run.record_folder / ENDED, content)


def _require_new(config: DistillConfig) -> None:
    """Refuse to overwrite what an earlier run left."""
    folder = config.run.record_folder
    if (folder / CHECKPOINT).exists():
        epoch = load_facts(folder / CHECKPOINT)["epoch"]
        found = f"{folder / CHECKPOINT} of an earlier one, after epoch {epoch}"
    elif (folder / ENDED).exists():
        found = f"{folder / ENDED} of an earlier one, which has ended"
    else:
        _require_records(config)
        return
    raise ConfigError(
        expected="a new run",
        found=found,
        hint="Continue it with --resume, overwrite it with --restart, or choose another run.out.",
    )


def _require_records(config: DistillConfig) -> None:
    """Refuse to overwrite a student whose run left nothing to resume it by."""
    folder = config.run.record_folder
    resumable = (folder / CHECKPOINT).exists() or _noted(folder / ENDED) is not None
    if not resumable and _student(config):
        raise ConfigError(
            expected="a new run, or the records of the one that is to be resumed",
            found=f"a student in {config.run.out}, and no such records in {folder}",
            hint="Overwrite it with --restart, or choose another run.out.",
        )


def _wanted(config: DistillConfig, settings: Mapping[str, Any]) -> dict[str, Any]:
    return resuming_settings(config.fit, monitor_of(config), settings)


def _student(config: DistillConfig) -> dict[str, str] | None:
    """Return what tells the student of a run from others, or None where there is none."""
    out = config.run.out
    if not ((out / CONFIG).is_file() and (out / WEIGHTS).is_file()):
        return None
    return {"licence": config.run.licence, "weights_sha256": file_sha256(out / WEIGHTS)}


def _noted(path: Path) -> dict[str, Any] | None:
    """Return what `end_folder` wrote, or None where it is not there or not whole."""
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
        parts = {name: dict(content[name]) for name in (_SETTINGS, _METRICS)}
        return {**parts, _STUDENT: content[_STUDENT]}
    except (OSError, ValueError, TypeError, LookupError):
        return None
