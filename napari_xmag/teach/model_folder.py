"""What was taught as a model folder: it appears among the models, and analyzes slides."""

import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from napari_xmag._about import NOTICE
from napari_xmag.errors import ModelError
from napari_xmag.filenames import CARD, CONFIG, HEAD, WEIGHTS
from napari_xmag.files import parse_json
from napari_xmag.markdown import table, wrapped
from napari_xmag.nets.folders import folder as _folder
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.nets.heads.patch_classifier import NOT_TAUGHT
from napari_xmag.nets.info import ModelInfo
from napari_xmag.teach.classifier import Taught
from napari_xmag.teach.estimate import Estimate, estimate
from napari_xmag.teach.lesson_range import lesson_range

_log = logging.getLogger(__name__)

_GREY = (180, 180, 180)


def save_taught_model(
    taught: Taught,
    encoder: StoredModel,
    folder: Path,
    *,
    name: str | None = None,
    replace: bool = False,
) -> StoredModel:
    """Save what was taught as a slide model, all of it or nothing; needs no torch.

    The folder holds a copy of the encoder, so that it serves alone.

    Parameters
    ----------
    encoder
        The model whose encoder encoded the slides.
    folder
        Where it shall lie, among the user's models for instance (`napari_xmag.zoo.user_folder`).
    name
        Its name; that of the folder when None.
    replace
        Whether a folder that exists is replaced.

    Raises
    ------
    ModelError
        When the encoder is another one than that of the slides, the name is none, or the folder
        exists or cannot be written.
    """
    name = name or folder.name
    _folder.check_name(name)
    _require_encoder(taught, encoder)
    lesson = _LessonFacts.of(taught)
    info = _info(taught, encoder.info, name, lesson)
    with _folder.replacing(folder, replace=replace) as fresh:
        _write(taught, encoder, info, lesson, fresh)
        saved = _folder.read_folder(fresh, verify=False)  # its hashes were taken a moment ago
        _require_copied(saved, encoder)
    _log.info("Saved the taught model %s to %s", name, folder)
    return StoredModel(saved.moved(folder))


@dataclass(frozen=True)
class _LessonFacts:
    """What the examples were, for the description and for people."""

    examples: tuple[int, ...]
    slides: int
    estimated: Estimate

    @classmethod
    def of(cls, taught: Taught) -> "_LessonFacts":
        labels = taught.examples.labels
        counts = tuple(int((labels == number).sum()) for number in range(len(taught.classes)))
        return cls(counts, len(set(taught.examples.slides.tolist())), estimate(taught))

    def statement(self) -> dict[str, Any]:
        return {
            "examples": list(self.examples),
            "slides": self.slides,
            "balanced_accuracy": self.estimated.balanced_accuracy,
            "low": self.estimated.low,
            "high": self.estimated.high,
            "words": self.estimated.words,
        }


def _require_encoder(taught: Taught, encoder: StoredModel) -> None:
    made_by = {slide.features.key.encoder for slide in taught.request.slides}
    if made_by != {encoder.fingerprint()}:
        raise ModelError(
            expected=f"the encoder that encoded the slides, of {encoder.info.display_name}",
            found="another one: it was changed, or the slides were encoded by another model",
            hint="Encode the slides with this model, and save again.",
        )


def _require_copied(saved: _folder.FolderContent, encoder: StoredModel) -> None:
    if saved.encoder_fingerprint != encoder.fingerprint():
        raise ModelError(
            expected=f"the encoder of {encoder.info.display_name} as it was opened",
            found="another one by now",
            hint="Encode the slides again, and save again.",
        )


def _info(taught: Taught, of_encoder: ModelInfo, name: str, lesson: _LessonFacts) -> ModelInfo:
    colors = taught.request.lesson.colors
    number = sum(lesson.examples)
    where = "1 slide" if lesson.slides == 1 else f"{lesson.slides} slides"
    return replace(
        of_encoder,
        name=name,
        display_name=name,
        classes=(*taught.classes, NOT_TAUGHT),
        colors=(*(colors[kind] for kind in taught.classes), _GREY),
        head="patch_classifier",
        temperature=1.0,
        threshold=0.5,
        demonstration=False,
        sha256="",
        training_range=lesson_range(taught),
        description=f"{', '.join(taught.classes)}, taught with {number} examples on {where}.",
    )


def _write(
    taught: Taught, encoder: StoredModel, info: ModelInfo, lesson: _LessonFacts, fresh: Path
) -> None:
    from safetensors.numpy import save_file

    source = encoder.content.folder
    shutil.copyfile(source / WEIGHTS, fresh / WEIGHTS)
    arrays = taught.classifier.arrays()
    save_file(arrays | _folder.range_arrays(info.training_range), fresh / HEAD)
    (fresh / CARD).write_text(_card(info, encoder.info, lesson), encoding="utf-8")
    config: dict[str, Any] = parse_json((source / CONFIG).read_bytes())
    own = ("cells", "embedding", "layers", "mean", "std")
    readout = {key: encoder.content.xmag[key] for key in own if key in encoder.content.xmag}
    config["xmag"] = _folder.xmag_section(info, readout, taught.classifier.statement()) | {
        "colors": [list(color) for color in info.colors],
        "taught": lesson.statement(),
    }
    _folder.write_config(fresh, config)


def _card(info: ModelInfo, encoder: ModelInfo, lesson: _LessonFacts) -> str:
    rows = [(kind, str(count)) for kind, count in zip(info.classes, lesson.examples, strict=False)]
    has_range = info.training_range is not None
    unlike = " A slide that looks unlike those with examples gets none." if has_range else ""
    parts = [
        f"# {info.display_name}",
        f"**{NOTICE}**",
        info.description,
        table(("Class", "Examples"), rows),
        f"{lesson.estimated.words}",
        f"Encoder: that of {encoder.display_name} ({encoder.name}, {encoder.sha256[:12]}). "
        f"Licence: {info.licence}.",
        'Tissue unlike any example gets no class ("not taught"). The answer for a slide is the '
        f"share of its tissue that each class covers.{unlike}",
        f"## Use\n\n```\nnapari-xmag analyze SLIDE --model {info.name}\n```",
    ]
    return wrapped("\n\n".join(parts)) + "\n"
