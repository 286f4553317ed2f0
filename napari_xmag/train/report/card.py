"""What the model card says about training: data, settings, performance, origin of the encoder."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from napari_xmag.cohort.rows import SPLITS, CohortRow
from napari_xmag.errors import ConfigError
from napari_xmag.learn.fit_config import FitConfig
from napari_xmag.markdown import table
from napari_xmag.nets.encoder import Encoder
from napari_xmag.train.config import AugmentConfig, TrainConfig
from napari_xmag.train.report import tables
from napari_xmag.train.report.evaluate import Report


def card_sections(
    rows: Sequence[CohortRow], config: TrainConfig, encoder: Encoder, report: Report
) -> dict[str, str]:
    """Return the sections of a model card that a training can fill in, heading to Markdown.

    Parameters
    ----------
    rows
        All slides, each with its split.
    """
    splits = report.splits
    return {
        "Training data": _slides_table(rows),
        "Performance": f"{tables.ONLY_TEST}\n\n{tables.figures_table(splits)}",
        **({"Patches in regions": tables.patches(report.patches)} if report.patches else {}),
        "Sensitivity and specificity": tables.rates(splits),
        "Confusion matrix": tables.confusion(splits, report.classes),
        "Calibration": tables.calibration(splits),
        "Training": _settings(config, report),
    } | origin_sections(encoder)


def origin_sections(encoder: Encoder) -> dict[str, str]:
    """Return what the card says about the origin of the encoder: licences, distillation."""
    sections = {}
    if teachers := encoder.origin.get("teachers"):
        sections["Licence of the encoder's teacher"] = "\n\n".join(
            f"The encoder was distilled from {teacher['name']} ({teacher['licence']}). May it be "
            f"shared? {teacher['students_may_be_shared'].capitalize()}. {teacher['terms']}"
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
            expected=f"a readable Markdown file at {path}",
            found=str(error),
            hint="Correct the path.",
            causes=[error],
        ) from error
    if before.strip():
        raise ConfigError(
            expected="sections that begin with ## Heading",
            found=f"text before the first heading in {path.name}",
            hint="Move it under a heading.",
        )
    pairs = (part.partition("\n") for part in parts)
    return {heading.strip(): text.strip() for heading, _, text in pairs}


def _slides_table(rows: Sequence[CohortRow]) -> str:
    counts = Counter((row.split, row.label) for row in rows)
    labels = sorted({row.label for row in rows})
    lines: list[list[object]] = []
    for split in SPLITS:
        patients = len({row.patient for row in rows if row.split == split})
        lines.append([split, patients, *(counts[split, label] for label in labels)])
    return table(["split", "patients", *labels], lines) + _sites(rows)


def _sites(rows: Sequence[CohortRow]) -> str:
    """Name the sites of each split, where any are known."""
    if not any(row.site for row in rows):
        return ""
    words = []
    for split in SPLITS:
        if sites := {row.site or "unnamed" for row in rows if row.split == split}:
            words.append(f"{split}: {', '.join(sorted(sites))}")
    return f"\n\nSites – {'; '.join(words)}."


def _settings(config: TrainConfig, report: Report) -> str:
    parts = [
        f"Head on frozen features: {_course(config.head_fit)}, {config.batch_size} slides per "
        f"batch, dropout {config.dropout:g}."
    ]
    if config.mode == "end-to-end":
        together = config.end_to_end
        tiles = "all tiles" if config.tiles_per_epoch is None else f"{config.tiles_per_epoch} tiles"
        parts.append(
            f"Then encoder and head end to end on {tiles} of each slide: {_course(together.fit)}, "
            f"{together.batch_size} slides per batch, the encoder at {together.encoder_rate:g} "
            f"times that rate, layer decay {together.layer_decay:g}. {_changes(config.augment)}"
        )
        if report.best_epoch is not None:
            parts.append(tables.chosen_epoch(report.best_epoch))
    parts.append(
        f"Slides split by {config.split_by}, seed {config.seed}. Temperature "
        f"{report.temperature:.3g}, from the validation slides. Threshold "
        f"{report.threshold:.3g}: {report.chosen}."
    )
    if report.patches and config.regions.weight:
        parts.append(
            "The patches in regions of a training slide were learned from, at "
            f"{config.regions.weight:g} times the weight of its label."
        )
    unused = tables.left_out((*report.left_out, *report.regions_noted))
    return "\n\n".join(filter(None, [" ".join(parts), unused]))


def _changes(augment: AugmentConfig) -> str:
    """Say how tiles were augmented."""
    parts = [
        *(["rotated and mirrored"] if augment.turns else []),
        *([f"stain jitter {augment.stain:g}"] if augment.stain else []),
        *(
            [f"{100 * augment.blur_share:g} % of the slides blurred by up to {augment.blur:g} px"]
            if augment.blur_share
            else []
        ),
    ]
    return f"Augmentation of tiles: {', '.join(parts)}." if parts else "No augmentation."


def _course(fit: FitConfig) -> str:
    return (
        f"{fit.epochs} epochs of AdamW, learning rate {fit.lr:g}, weight decay "
        f"{fit.weight_decay:g}, moving average {fit.ema_decay:g}"
    )
