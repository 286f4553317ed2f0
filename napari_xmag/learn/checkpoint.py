"""Where a training goes on after a break: tensors and facts in one safetensors file."""

import json
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from napari_xmag.errors import ConfigError, ExportError, ModelError
from napari_xmag.files import whole_file

_FACTS = "facts"
_HASH = re.compile(r"\b[0-9a-f]{64}\b")


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a checkpoint, all of it or nothing.

    Parameters
    ----------
    path
        The file, ``.safetensors``.
    tensors
        On any device.
    facts
        What JSON can hold.

    Raises
    ------
    ExportError
        When it cannot be written; the checkpoint that was there stays.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    # Each with memory of its own, as safetensors wants them.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = {_FACTS: json.dumps(dict(facts), sort_keys=True)}
    for left in path.parent.glob(f".part-*-{path.name}"):
        left.unlink(missing_ok=True)  # of a run that was killed while it wrote
    with whole_file(path) as part:
        try:
            save_file(plain, part, metadata=text)
        except SafetensorError as error:
            raise ExportError(
                expected=f"to write {path.name} in {path.parent}",
                found=str(error),
                hint="Free some disk space, or choose a folder that you may write to, and resume: "
                "the last checkpoint is intact.",
                causes=(error,),
            ) from error


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint onto the CPU.

    Raises
    ------
    ModelError
        When there is none, or it is broken.
    """
    with _opened(path) as (stream, facts):
        return {name: stream.get_tensor(name) for name in stream.keys()}, facts  # noqa: SIM118


def load_facts(path: Path) -> dict[str, Any]:
    """Read the facts of a checkpoint, without its tensors.

    Raises
    ------
    ModelError
        When there is none, or it is broken.
    """
    with _opened(path) as (_, facts):
        return facts


@contextmanager
def _opened(path: Path) -> Generator[tuple[Any, dict[str, Any]], None, None]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as stream:
            yield stream, json.loads(stream.metadata()[_FACTS])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            expected=f"a checkpoint at {path}",
            found=f"{type(error).__name__}: {error}",
            hint="Start a new run in another folder.",
            causes=(error,),
        ) from error


def flattened(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return all tensors under ``part/name``."""
    return {f"{part}/{name}": value for part, some in parts.items() for name, value in some.items()}


def parted(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Undo `flattened`."""
    parts: dict[str, dict[str, Tensor]] = {}
    for whole, value in tensors.items():
        part, _, name = whole.partition("/")
        parts.setdefault(part, {})[name] = value
    return parts


def require_same_settings(found: Mapping[str, Any], wanted: Mapping[str, Any], path: Path) -> None:
    """Refuse to go on with other settings than the checkpoint was made with.

    Raises
    ------
    ConfigError
        When they differ; each differing setting is named with both values.
    """
    old, new = _flat(found), _flat(json.loads(json.dumps(dict(wanted))))
    differing = [
        f"{name} was {_said(old, name)}, now {_said(new, name)}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    if differing:
        raise ConfigError(
            expected=f"the settings with which {path} was made",
            found="; ".join(differing),
            hint="Resume with the same settings, or start a new run in another folder.",
        )


def _said(values: Mapping[str, Any], name: str) -> str:
    """Return a value in a form to be read: the first digits tell two hashes apart."""
    words = json.dumps(values[name]) if name in values else "not set"
    return _HASH.sub(lambda found: f"{found[0][:8]} …", words)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            result |= _flat(value, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = value
    return result
