"""A distilled student as a folder: what timm loads, and beside it what tiles it wants."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from safetensors.torch import save_file

from napari_xmag.errors import ModelError
from napari_xmag.filenames import CONFIG, WEIGHTS
from napari_xmag.files import parse_json
from napari_xmag.nets.folders.folder import file_sha256, replacing
from napari_xmag.nets.student import Student, StudentSpec, build_student

SECTION = "xmag_student"


@dataclass(frozen=True)
class Encoder:
    """A student with its licence and its origin (loss, data counts, metrics; JSON-able)."""

    student: Student
    licence: str
    origin: Mapping[str, Any] = field(default_factory=dict)


def save_encoder(
    student: Student, folder: Path, *, licence: str, origin: Mapping[str, Any]
) -> None:
    """Write a student so that timm and `load_encoder` load it; an older folder is replaced.

    Raises
    ------
    ModelError
        When the folder cannot be written.
    """
    backbone = cast(Any, student.backbone)
    spec = student.spec
    with replacing(folder, replace=True) as fresh:
        state = {
            name: tensor.detach().cpu().contiguous().clone()
            for name, tensor in backbone.state_dict().items()
        }
        save_file(state, fresh / WEIGHTS)
        config = {
            "architecture": student.architecture,
            "num_classes": 0,
            "num_features": backbone.num_features,
            "model_args": student.model_args,
            "pretrained_cfg": {
                "custom_load": False,
                "input_size": [3, spec.tile_px, spec.tile_px],
                "first_conv": backbone.pretrained_cfg.get("first_conv"),
                "classifier": backbone.pretrained_cfg.get("classifier"),
                "mean": list(spec.mean),
                "std": list(spec.std),
                "num_classes": 0,
                "license": licence,
            },
            SECTION: {
                **asdict(spec),
                "licence": licence,
                "sha256": file_sha256(fresh / WEIGHTS),
                "origin": dict(origin),
            },
        }
        text = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
        (fresh / CONFIG).write_text(text, encoding="utf-8")


def load_encoder(folder: Path | str, spec: StudentSpec | None = None) -> Encoder:
    """Load a student from the folder of a distillation, of a slide model, or of a timm network.

    Parameters
    ----------
    folder
        The folder.
    spec
        What the network expects, for a plain timm folder that does not say; wins over what a
        folder says.

    Raises
    ------
    ModelError
        When it cannot be loaded, was altered, or says nothing of its tiles.
    """
    folder = Path(folder)
    config = _read_config(folder)
    section = config.get(SECTION) or config.get("xmag")
    if spec is None:
        spec = _spec(section, folder)
    if config.get(SECTION) and file_sha256(folder / WEIGHTS) != config[SECTION]["sha256"]:
        raise ModelError(
            expected=f"the weights that {folder / CONFIG} describes",
            found="others",
            hint="Distil again, or fetch the folder again.",
        )
    student = build_student(f"local-dir:{folder}", spec)
    said = section or {}
    licence = said.get("licence") or config.get("pretrained_cfg", {}).get("license") or "not stated"
    return Encoder(student, str(licence), said.get("origin", {}))


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = parse_json((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            expected=f"a readable {CONFIG} in {folder}",
            found=str(error),
            hint="Name a folder made by distill run, or a network in timm's format.",
            causes=[error],
        ) from error
    return cast(dict[str, Any], config)


def _spec(section: Mapping[str, Any] | None, folder: Path) -> StudentSpec:
    try:
        return StudentSpec.stated(section or {})
    except KeyError as error:
        raise ModelError(
            expected=f"the pixel size and tile size of the network in {folder}",
            found=f"no {error.args[0]} in its {CONFIG}",
            hint="Give them: --tile-mpp and --tile-px.",
            causes=[error],
        ) from error


def timm_spec(
    folder: Path, *, mpp: float | None = None, tile_px: int | None = None, layers: int = 1
) -> StudentSpec:
    """Return the tiles a plain timm folder takes: its own normalization, the given sizes.

    Raises
    ------
    ModelError
        When the folder cannot be read.
    """
    known = _read_config(folder).get("pretrained_cfg", {})
    return StudentSpec(
        mpp=mpp or 2.0,
        tile_px=tile_px or int(known.get("input_size", (3, 224, 224))[-1]),
        mean=tuple(known.get("mean", (0.485, 0.456, 0.406))),
        std=tuple(known.get("std", (0.229, 0.224, 0.225))),
        layers=layers,
    )
