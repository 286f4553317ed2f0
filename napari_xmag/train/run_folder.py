"""What a run leaves beside its model: settings, slides with their splits, versions."""

import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from napari_xmag._about import __version__
from napari_xmag.cohort.cohort import write_cohort
from napari_xmag.cohort.rows import CohortRow
from napari_xmag.errors import ConfigError
from napari_xmag.filenames import COHORT, CONFIG, VERSIONS
from napari_xmag.files import parse_json, real_path, relative_path, write_json
from napari_xmag.learn.checkpoint import require_same_settings
from napari_xmag.nets.encoder import Encoder
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.report.record import read_metrics

_SLIDES = "slides"
_LIBRARIES = ("torch", "timm", "numpy", "safetensors", "openslide-python", "tifffile")


def decisive_facts(
    config: TrainConfig,
    rows: Sequence[CohortRow],
    encoder_id: str,
    regions: Mapping[Path, str],
    out: Path,
) -> dict[str, Any]:
    """Return what decides the result of a run; not what only decides where and how fast.

    Parameters
    ----------
    rows
        All slides, each with its split.
    encoder_id
        Fingerprint of the encoder.
    regions
        SHA-256 of each file of regions, as it was read.
    out
        Folder of the run, from which the slides are named.
    """
    settings = config.model_dump(mode="json")
    del settings["device"]
    for name in ("chunk", "store_gb"):
        del settings["end_to_end"][name]
    slides = {relative_path(real_path(row.slide), out): _identity(row, regions) for row in rows}
    return {**settings, "encoder": encoder_id, _SLIDES: slides}


def begin_folder(
    out: Path,
    config: TrainConfig,
    rows: Sequence[CohortRow],
    encoder: Encoder,
    facts: Mapping[str, Any],
    *,
    resume: bool,
) -> None:
    """Write down what will be trained, or see that a run that goes on is the same.

    Parameters
    ----------
    rows
        All slides, each with its split.
    facts
        See `decisive_facts`.

    Raises
    ------
    ConfigError
        When another run lies there, or one that differs; each difference is named.
    """
    if not resume:
        require_new(out)
    elif (out / CONFIG).exists():
        require_same_settings(read_config(out)["decisive"], facts, out / CONFIG)
    content = {
        "config": config.model_dump(mode="json"),
        "encoder": {"licence": encoder.licence, "origin": encoder.origin},
        "decisive": dict(facts),
    }
    write_json(out / CONFIG, content)
    write_cohort(out / COHORT, rows)
    write_json(out / VERSIONS, _versions())


def require_new(out: Path) -> None:
    """Refuse a folder in which a run lies already.

    Raises
    ------
    ConfigError
        When one does.
    """
    if (out / CONFIG).exists():
        raise ConfigError(
            expected=f"an empty folder for a new run at {out}",
            found="an earlier run",
            hint="Choose another folder, or resume that run.",
        )


def require_same_run(out: Path, facts: Mapping[str, Any]) -> None:
    """See that a run that has ended is the one that is asked for.

    Settings that there were not when it began did not decide it.

    Parameters
    ----------
    facts
        See `decisive_facts`.

    Raises
    ------
    ConfigError
        When it differs; each difference is named.
    """
    found = read_config(out)["decisive"]
    require_same_settings(found, _known_to(found, facts), out / CONFIG)


def _known_to(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return of the wanted settings those that were there, but all slides."""
    return {
        name: _known_to(found[name], value)
        if isinstance(value, Mapping) and isinstance(found[name], Mapping) and name != _SLIDES
        else value
        for name, value in wanted.items()
        if name in found
    }


def read_config(out: Path) -> dict[str, Any]:
    """Read the config.json of a run.

    Raises
    ------
    ConfigError
        When it cannot be read.
    """
    try:
        content = parse_json((out / CONFIG).read_text(encoding="utf-8"))
        if not all(isinstance(content[name], dict) for name in ("config", "decisive")):
            raise ValueError("no settings of a run")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(
            expected=f"the {CONFIG} of a run in {out}",
            found=str(error),
            hint="Start the run again in another folder.",
            causes=[error],
        ) from error
    return dict(content)


def finished(out: Path) -> dict[str, Any] | None:
    """Return the metrics of a run that has ended, or None.

    Raises
    ------
    ResultError
        When they cannot be read.
    """
    return read_metrics(out) or None


def _identity(row: CohortRow, regions: Mapping[Path, str]) -> str:
    words = f"{row.label}, {row.split}, {row.mpp}"
    return words if row.regions is None else f"{words}, regions {regions[row.regions]}"


def _versions() -> dict[str, str]:
    libraries = {name: metadata.version(name) for name in _LIBRARIES}
    return {
        "napari-xmag": __version__,
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        **libraries,
    }
