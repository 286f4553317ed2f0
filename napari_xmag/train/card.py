"""What the model card says of training: data, settings, figures, origin of the encoder."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_xmag.distill.encoder import Encoder
from napari_xmag.errors import ConfigError
from napari_xmag.train.cohort import SPLITS, CohortRow
from napari_xmag.train.config import TrainConfig


def card_sections(
    rows: Sequence[CohortRow], config: TrainConfig, encoder: Encoder, metrics: Mapping[str, Any]
) -> dict[str, str]:
    """Return the sections of a model card that training knows, heading to Markdown."""
    sections = {
        "Training data": _slides_table(rows),
        "Figures on slides": _figures_table(metrics),
        "Training": _settings(config, metrics),
    }
    if teachers := encoder.origin.get("teachers"):
        sections["Licence of the encoder's teacher"] = "\n\n".join(
            f"The encoder learned from {teacher['name']} ({teacher['licence']}). May it be passed "
            f"on? {teacher['students_may_be_shared'].capitalize()}. {teacher['terms']}"
            for teacher in teachers
        )
    if encoder.origin:
        origin = json.dumps(dict(encoder.origin), indent=2, ensure_ascii=False)
        sections["Distillation of the encoder"] = f"```json\n{origin}\n```"
    return sections


def read_notes(path: Path) -> dict[str, str]:
    """Read further sections from a Markdown file: each begins with a line ``## Heading``.

    Raises
    ------
    ConfigError
        When the file cannot be read or text stands before the first heading.
    """
    try:
        before, *parts = ("\n" + path.read_text(encoding="utf-8")).split("\n## ")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            wanted=f"a readable Markdown file at {path}",
            found=str(error),
            remedy="Correct the path.",
            causes=[error],
        ) from error
    if before.strip():
        raise ConfigError(
            wanted="sections that begin with ## Heading",
            found=f"text before the first heading in {path.name}",
            remedy="Move it under a heading.",
        )
    pairs = (part.partition("\n") for part in parts)
    return {heading.strip(): text.strip() for heading, _, text in pairs}


def _slides_table(rows: Sequence[CohortRow]) -> str:
    counts = Counter((row.split, row.label) for row in rows)
    labels = sorted({row.label for row in rows})
    lines = ["| split | patients | " + " | ".join(labels) + " |", "|---" * (len(labels) + 2) + "|"]
    for split in SPLITS:
        patients = len({row.patient for row in rows if row.split == split})
        cells = " | ".join(str(counts[split, label]) for label in labels)
        lines.append(f"| {split} | {patients} | {cells} |")
    return "\n".join(lines)


def _figures_table(metrics: Mapping[str, Any]) -> str:
    lines = ["| split | slides | AUC | accuracy | balanced accuracy |", "|---|---|---|---|---|"]
    for split in SPLITS:
        if split in metrics:
            m = metrics[split]
            lines.append(
                f"| {split} | {m['slides']:.0f} | {m['auc']:.3f} | {m['accuracy']:.3f} "
                f"| {m['balanced_accuracy']:.3f} |"
            )
    return "\n".join(lines)


def _settings(config: TrainConfig, metrics: Mapping[str, Any]) -> str:
    fit = config.fit
    return (
        f"Head on frozen features: {fit.epochs} epochs of AdamW, learning rate {fit.lr:g}, weight "
        f"decay {fit.weight_decay:g}, {config.batch_size} slides a batch, dropout "
        f"{config.dropout:g}, moving average {fit.ema_decay:g}, seed {config.seed}. Temperature "
        f"{metrics['temperature']:.3g} from the validation slides."
    )
