"""Slide models to and from model folders: the part that needs torch and timm."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from napari_xmag._about import NOTICE
from napari_xmag.errors import ModelError
from napari_xmag.filenames import CARD, CONFIG, HEAD, WEIGHTS
from napari_xmag.files import parse_json
from napari_xmag.markdown import escaped, table, wrapped
from napari_xmag.nets.decision import describe_decision
from napari_xmag.nets.folders import folder as _folder
from napari_xmag.nets.folders.tensors import read_tensor_headers
from napari_xmag.nets.heads.abmil import AttentionHead
from napari_xmag.nets.model import ModelInfo, SlideModel
from napari_xmag.nets.student import BUILD_ERRORS, Student, StudentSpec, build_backbone

if TYPE_CHECKING:
    from huggingface_hub import ModelCardData

# What timm has long understood of a network's configuration; sources of other weights are left out.
_PRETRAINED_KEYS = ("tag", "fixed_input_size", "interpolation", "first_conv", "classifier")

# Identifiers of the Hugging Face hub; any other licence is "other", with its name.
_HUB_LICENCES = {
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "mpl-2.0", "gpl-3.0", "lgpl-3.0"),
    *("agpl-3.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nd-4.0", "cc-by-nc-4.0"),
    *("cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"),
}


def load_student(folder: Path) -> Student:
    """Load the student of a model folder, on the CPU, whatever head it has.

    Raises
    ------
    ModelError
        When the folder is no good or its weights do not fit its description.
    """
    content = _folder.read_folder(folder)
    _require_fitting(folder)
    return Student(build_backbone(f"local-dir:{folder}"), StudentSpec.stated(content.xmag)).eval()


def load_folder(folder: Path) -> SlideModel:
    """Load the slide model of a folder, on the CPU.

    Raises
    ------
    ModelError
        When the folder is no good, its weights do not fit its description, or examples taught it.
    """
    content = _folder.read_folder(folder)
    if content.info.head != "attention":
        raise ModelError(
            expected=f"a model with an attention head in {folder}",
            found="one that was taught by examples",
            hint="Analyze with it (open_model), or teach it further; it cannot be trained on.",
        )
    _require_fitting(folder)
    xmag = content.xmag
    try:
        spec = StudentSpec.stated(xmag)
        sizes = xmag["head"]
        head = AttentionHead(sizes["dim"], sizes["hidden"], sizes["classes"])
        state = {key: torch.from_numpy(value.copy()) for key, value in content.head.items()}
        head.load_state_dict(state)
    except (KeyError, TypeError, RuntimeError) as error:
        raise ModelError(
            expected=f"a student and a head as {folder / CONFIG} describes them",
            found=f"{type(error).__name__}: {error}",
            hint="Fetch or save the model again.",
            causes=[error],
        ) from error
    student = Student(build_backbone(f"local-dir:{folder}"), spec)
    return SlideModel(student, head, content.info).eval()


def _require_fitting(folder: Path) -> None:
    """Compare names and shapes of the stored weights with the network's, before memory is taken.

    Raises
    ------
    ModelError
        When they differ, or timm cannot build such a network.
    """
    import timm

    config = parse_json((folder / CONFIG).read_bytes())
    arguments = config.get("model_args", {}) | {"num_classes": 0}
    try:
        with torch.device("meta"):
            network = timm.create_model(config["architecture"], pretrained=False, **arguments)
    except NotImplementedError:
        return  # a network that cannot be built without memory: loading compares, too
    except BUILD_ERRORS as error:
        raise _unfitting(folder, f"a network that timm cannot build ({error})", error) from error
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tensor.shape for name, tensor in read_tensor_headers(folder / WEIGHTS).items()}
    differing = sorted(
        name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
    )
    if differing:
        count = len(differing)
        words = f"{count} tensors that differ from those of {config['architecture']}"
        raise _unfitting(folder, f"{words}, such as {differing[0][:100]}")


def _unfitting(folder: Path, found: str, cause: Exception | None = None) -> ModelError:
    return ModelError(
        expected=f"weights in {folder / WEIGHTS} that fit the network of its {CONFIG}",
        found=found,
        hint="Fetch or save the model again.",
        causes=() if cause is None else [cause],
    )


def write_folder(model: SlideModel, folder: Path, card: Mapping[str, str]) -> ModelInfo:
    """Write a slide model into an empty folder and prove that it loads again as it was.

    Raises
    ------
    ModelError
        When it would not.
    """
    from safetensors.numpy import save_file as save_arrays
    from safetensors.torch import save_file

    backbone = model.student.backbone.state_dict()
    save_file(_plain(backbone), folder / WEIGHTS)
    head = {key: value.numpy() for key, value in _plain(model.head.state_dict()).items()}
    save_arrays(head | _folder.range_arrays(model.info.training_range), folder / HEAD)
    (folder / CARD).write_text(model_card(model, card), encoding="utf-8")
    _folder.write_config(folder, _config(model))
    again = load_folder(folder)
    _require_same(model, again)
    return again.info


def model_card(model: SlideModel, sections: Mapping[str, str]) -> str:
    """Return the model card: the facts from the model itself, then the given sections."""
    info, spec = model.info, model.student.spec
    facts = {
        "Classes": ", ".join(map(escaped, info.classes)),
        "Tiles": f"{spec.tile_px}×{spec.tile_px} px at {spec.mpp:g} µm/px "
        f"({spec.tile_px * spec.mpp:g} µm a side)",
        "Student": f"{model.student.architecture}, {model.student.dim}-d ({spec.embedding}), "
        f"{spec.cells}×{spec.cells} cells, {model.student.cell_dim}-d",
        "Head": f"gated attention over {info.granularity}, {model.head.hidden} hidden "
        "(arXiv 1802.04712)",
        "Temperature": f"{info.temperature:g}",
        "Decision": describe_decision(info.classes, info.threshold) or "the most probable class",
        "Training range": "none"
        if info.training_range is None
        else f"{info.training_range.slides} slides, limit {info.training_range.limit:.3g}",
        "Licence": escaped(info.licence),
    }
    parts = [
        f"---\n{_card_data(info).to_yaml()}\n---",
        f"# {escaped(info.display_name)}",
        f"**{NOTICE}**",
        *(
            ["This is a **demonstration model**: it only shows how the program works."]
            if info.demonstration
            else []
        ),
        *([escaped(info.description)] if info.description else []),
        table(("", ""), list(facts.items())),
        *(f"## {title}\n\n{text.strip()}" for title, text in sections.items()),
        "## Use\n\n```\n"
        f"napari-xmag analyze SLIDE --model {info.name}\n```\n\n"
        "The backbone alone, in Python: "
        '`timm.create_model("local-dir:<this folder>", pretrained=True)`.',
    ]
    return wrapped("\n\n".join(parts)) + "\n"


def _card_data(info: ModelInfo) -> "ModelCardData":
    """Return what the hub reads from the head of a card."""
    from huggingface_hub import ModelCardData

    licence = info.licence.lower().replace(" ", "-")
    known = licence in _HUB_LICENCES
    return ModelCardData(
        license=licence if known else "other",
        license_name=None if known else licence,
        library_name="timm",
        tags=["napari-xmag", "pathology"],
    )


def _config(model: SlideModel) -> dict[str, Any]:
    """Return config.json as timm reads it, with the xmag section."""
    student, spec = model.student, model.student.spec
    backbone = cast(Any, student.backbone)
    known = dict(backbone.pretrained_cfg)
    side = spec.tile_px
    pretrained = {key: known[key] for key in _PRETRAINED_KEYS if known.get(key) is not None}
    pretrained |= {
        "custom_load": False,
        "input_size": [3, side, side],
        "pool_size": [student.grid, student.grid],
        "crop_pct": 1.0,
        "crop_mode": "center",
        "mean": list(spec.mean),
        "std": list(spec.std),
        "num_classes": backbone.num_classes,
        "license": model.info.licence,
    }
    head = model.head
    return {
        "architecture": student.architecture,
        "num_classes": backbone.num_classes,
        "num_features": backbone.num_features,
        "model_args": student.model_args,
        "pretrained_cfg": pretrained,
        "xmag": _folder.xmag_section(
            model.info,
            {
                "cells": spec.cells,
                "embedding": spec.embedding,
                "layers": spec.layers,
                "mean": list(spec.mean),
                "std": list(spec.std),
            },
            {"dim": head.dim, "hidden": head.hidden, "classes": head.classes},
        ),
    }


def _plain(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Bring tensors to the CPU, each with memory of its own, as safetensors wants them."""
    return {key: value.detach().cpu().contiguous().clone() for key, value in state.items()}


def _require_same(model: SlideModel, again: SlideModel) -> None:
    saved, loaded = model.state_dict(), again.state_dict()
    differing = sorted(saved.keys() ^ loaded.keys()) or [
        key for key, value in saved.items() if not torch.equal(value.cpu(), loaded[key])
    ]
    if differing:
        raise ModelError(
            expected="a saved model that loads again as it was",
            found=f"other weights in {', '.join(differing[:3])}",
            hint="Give Student the model_args with which its backbone was built.",
        )
