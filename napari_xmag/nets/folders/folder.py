"""A model folder: what timm loads, the head beside it, and the SHA-256 of every file.

Needs no torch to read and check; see docs/model_format.md.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ModelError
from napari_xmag.filenames import CARD, CONFIG, HEAD, WEIGHTS
from napari_xmag.files import parse_json, unfinished_folder
from napari_xmag.nets.decision import EVEN
from napari_xmag.nets.folders.checks import (
    require_head_tensors,
    require_network,
    require_readout,
    stated_colors,
)
from napari_xmag.nets.folders.tensors import read_tensor_headers, require_finite
from napari_xmag.nets.info import ModelInfo, TrainingRange
from napari_xmag.replacing import take_place

FORMAT = 1

# How a student is read out, in the xmag section.
_READOUT = ("mpp", "tile_px", "cells", "embedding", "layers", "mean", "std")
_PINNED = (WEIGHTS, HEAD, CARD)
_UNSAFE = {".bin", ".ckpt", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RANGE = "training_range."
_MOST_CONFIG = 2**20

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class FolderContent:
    """A checked model folder, all but the weights of the backbone.

    Parameters
    ----------
    folder
        Where it lies.
    info
        What its config states.
    xmag
        The ``xmag`` section of its config.
    head
        Tensors of the attention head by name.
    encoder_fingerprint
        Hash of all that decides the student's features.
    """

    folder: Path
    info: ModelInfo
    xmag: Mapping[str, Any]
    head: Arrays
    encoder_fingerprint: str

    def moved(self, folder: Path) -> "FolderContent":
        """Return the same content where its folder lies now."""
        return replace(self, folder=folder)


def read_folder(folder: Path, *, verify: bool = True) -> FolderContent:
    """Read and check a model folder.

    Parameters
    ----------
    folder
        The model folder.
    verify
        Whether every file is compared with its SHA-256; without it only that the files are there.

    Raises
    ------
    ModelError
        When the folder is no model, incomplete, altered, or holds pickled files.
    """
    config, sha256 = _read_config(folder)
    xmag = config.get("xmag")
    if not isinstance(xmag, dict):
        raise _refused(
            folder,
            f"a {CONFIG} without its xmag section: a network, but not a slide model",
            "Make a slide model of it with napari-xmag train.",
        )
    if xmag.get("format") != FORMAT:
        raise _refused(
            folder,
            f"format {xmag.get('format')!r} where this version reads {FORMAT}",
            "Update napari-xmag, or fetch the model again.",
        )
    _check_files(folder, xmag, verify=verify)
    try:
        require_network(config)
        require_readout(xmag)
        head, arrays = _read_head(folder, verify=verify)
        info = _info(xmag, arrays, sha256)
        require_head_tensors(xmag, head, arrays)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, ModelError):
            raise
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise _refused(
            folder, f"an incomplete or unreadable description ({what})", _FETCH_AGAIN, error
        ) from error
    return FolderContent(folder, info, xmag, head, _encoder_fingerprint(config))


_FETCH_AGAIN = "Fetch or save the model again."


def check_name(name: str) -> None:
    """Refuse a model name that is no plain folder name.

    Raises
    ------
    ModelError
        When it is not made of letters, digits, dot, dash and underscore.
    """
    if not _NAME.fullmatch(name):
        raise ModelError(
            expected="a model name of letters, digits, dot, dash and underscore",
            found=repr(name),
            hint="Choose another name.",
        )


def range_arrays(training_range: TrainingRange | None) -> Arrays:
    """Return the tensors that hold a training range in head.safetensors."""
    if training_range is None:
        return {}
    return {
        f"{_RANGE}{key}": np.ascontiguousarray(getattr(training_range, key), dtype=np.float32)
        for key in ("mean", "between", "within")
    }


def xmag_section(
    info: ModelInfo, student: Mapping[str, Any], head: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the ``xmag`` section of config.json, but for the hashes of the files."""
    training_range = info.training_range
    return {
        "format": FORMAT,
        "name": info.name,
        "display_name": info.display_name,
        "description": info.description,
        "classes": list(info.classes),
        "mpp": info.mpp,
        "tile_px": info.tile_px,
        "granularity": info.granularity,
        **student,
        "head": dict(head),
        "temperature": info.temperature,
        "threshold": info.threshold,
        "training_range": training_range
        and {"limit": training_range.limit, "slides": training_range.slides},
        "demonstration": info.demonstration,
        "licence": info.licence,
    }


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write config.json last, with the SHA-256 of the files that lie in the folder already."""
    config["xmag"]["files"] = {name: file_sha256(folder / name) for name in _PINNED}
    text = json.dumps(config, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / CONFIG).write_text(text, encoding="utf-8")


def copy_folder(source: Path, target: Path) -> None:
    """Copy the files of a checked model folder, and nothing else that lies there."""
    for name in (*_PINNED, CONFIG):
        shutil.copyfile(source / name, target / name)


@contextmanager
def replacing(target: Path, *, replace: bool) -> Iterator[Path]:
    """Give an empty folder beside the target that takes its place when all went well.

    Raises
    ------
    ModelError
        When the target exists and ``replace`` is False, or cannot be written.
    """
    if target.exists() and not replace:
        raise ModelError(
            expected=f"a new folder {target}",
            found="an existing folder",
            hint="Choose another name, or allow it to be replaced.",
        )
    try:
        with unfinished_folder(target) as fresh:
            yield fresh
            take_place(fresh, target)
    except OSError as error:
        raise ModelError(
            expected=f"to write the model to {target}",
            found=str(error),
            hint="Check the free space and that you may write there.",
            causes=[error],
        ) from error


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_config(folder: Path) -> tuple[dict[str, Any], str]:
    try:
        with (folder / CONFIG).open("rb") as file:
            raw = file.read(_MOST_CONFIG + 1)
        if len(raw) > _MOST_CONFIG:
            raise ValueError(f"more than {_MOST_CONFIG:,} bytes")
        config = parse_json(raw)
    except OSError as error:
        found = f"no readable {CONFIG}" if folder.is_dir() else "no such folder"
        raise _refused(folder, found, "Name a folder that holds a model.", error) from error
    except ValueError as error:
        raise _refused(
            folder, f"a {CONFIG} that is not plain JSON ({error})", _FETCH_AGAIN, error
        ) from error
    if not isinstance(config, dict):
        raise _refused(folder, f"a {CONFIG} that is not a JSON object", _FETCH_AGAIN)
    return config, hashlib.sha256(raw).hexdigest()


def _check_files(folder: Path, xmag: Mapping[str, Any], *, verify: bool) -> None:
    unsafe = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in _UNSAFE)
    if unsafe:
        raise _refused(
            folder,
            f"{', '.join(unsafe)}: pickled files can run code when opened and are never read",
            "Remove them, or fetch the model from a source that gives safetensors only.",
        )
    hashes = xmag.get("files")
    if not isinstance(hashes, dict) or set(hashes) != set(_PINNED):
        raise _refused(folder, f"no SHA-256 for each of {', '.join(_PINNED)}", _FETCH_AGAIN)
    for name in _PINNED:
        if not (folder / name).is_file():
            raise _refused(folder, f"no {name}: it is missing", _FETCH_AGAIN)
        if verify and file_sha256(folder / name) != hashes[name]:
            raise _refused(
                folder,
                f"an altered {name}: its SHA-256 is not the one in {CONFIG}",
                _FETCH_AGAIN,
            )


def _encoder_fingerprint(config: Mapping[str, Any]) -> str:
    """Return a hash of the network and of how it is read out, whatever head weighs it."""
    network = {key: value for key, value in config.items() if key != "xmag"}
    xmag = config["xmag"]
    readout = {key: xmag.get(key) for key in _READOUT}
    stated = json.dumps([network, readout, xmag["files"][WEIGHTS]], sort_keys=True)
    return hashlib.sha256(stated.encode()).hexdigest()


def _read_head(folder: Path, *, verify: bool) -> tuple[Arrays, Arrays]:
    """Return the tensors of the head and of the training range; check those of the network."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    for name in (HEAD, WEIGHTS):
        try:
            tensors = read_tensor_headers(folder / name)
            if verify and name == WEIGHTS:
                require_finite(folder / name, tensors)
        except (OSError, ValueError) as error:
            raise _refused(folder, f"an unreadable {name}: {error}", _FETCH_AGAIN, error) from error
    try:
        arrays: Arrays = load_file(folder / HEAD)
    except (SafetensorError, KeyError) as error:
        raise _refused(folder, f"an unreadable {HEAD}", _FETCH_AGAIN, error) from error
    kept = {key: value for key, value in arrays.items() if not key.startswith(_RANGE)}
    return kept, {
        key.removeprefix(_RANGE): value for key, value in arrays.items() if key not in kept
    }


def _info(xmag: Mapping[str, Any], range_of: Arrays, sha256: str) -> ModelInfo:
    stated = xmag["training_range"]
    training_range = None
    if stated is not None:
        training_range = TrainingRange(
            mean=range_of["mean"],
            between=range_of["between"],
            within=range_of["within"],
            limit=float(stated["limit"]),
            slides=int(stated["slides"]),
        )
    name = str(xmag["name"])
    check_name(name)
    return ModelInfo(
        name=name,
        display_name=str(xmag["display_name"]),
        classes=tuple(str(value) for value in xmag["classes"]),
        mpp=float(xmag["mpp"]),
        tile_px=int(xmag["tile_px"]),
        granularity=xmag.get("granularity", xmag.get("attends", "tiles")),
        temperature=float(xmag["temperature"]),
        threshold=float(xmag.get("threshold", EVEN)),
        head=xmag["head"].get("kind", "attention"),
        colors=stated_colors(xmag),
        demonstration=bool(xmag["demonstration"]),
        sha256=sha256,
        licence=str(xmag["licence"]),
        training_range=training_range,
        description=str(xmag["description"]),
    )


def _refused(folder: Path, found: str, hint: str, cause: BaseException | None = None) -> ModelError:
    return ModelError(
        expected=f"a complete and unaltered slide model in {folder}",
        found=found,
        hint=hint,
        causes=() if cause is None else [cause],
    )
