"""What came of a training: its figures, and its model folder."""

from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from napari_xmag import zoo
from napari_xmag.cohort.rows import TRAIN, VALIDATION
from napari_xmag.filenames import MODEL
from napari_xmag.mil.head_training import Bags, predict_slides
from napari_xmag.mil.task import HeadTask
from napari_xmag.nets.encoder import Encoder
from napari_xmag.nets.model import ModelInfo, SlideModel
from napari_xmag.nets.slides_range import slides_range
from napari_xmag.nets.student import Student
from napari_xmag.progress.events import Progress, RegionsNoted, SlideLeftOut, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, run_steps, run_with_progress
from napari_xmag.stats.calibration import fit_temperature
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.report.card import card_sections
from napari_xmag.train.report.evaluate import REPLICATES, Report, evaluation
from napari_xmag.train.report.patches import PATCH_REPLICATES, patch_reports


@dataclass(frozen=True)
class Learned:
    """What came of the training.

    Attributes
    ----------
    bags
        With the features of this student.
    slides, student
        Head and encoder.
    best
        See `napari_xmag.train.report.evaluate.Report.best_epoch`.
    left_out
        Slides without tissue.
    noted
        Regions that teach nothing.
    """

    bags: Bags
    slides: HeadTask
    student: Student
    best: int | None = None
    left_out: tuple[SlideLeftOut, ...] = ()
    noted: tuple[RegionsNoted, ...] = ()


def evaluate_learned(
    learned: Learned, config: TrainConfig, thread: ThreadPoolExecutor
) -> Generator[Progress, None, Report]:
    """Judge all slides, and take the figures of each split."""
    bags = learned.bags
    meter = ProgressMeter(Stage.EVALUATING, len(bags.rows), "slides")
    judged = yield from run_steps(predict_slides(learned.slides, bags.of()), meter, thread)
    logits = np.array([slide.logits for slide in judged])
    chosen = [number for number, row in enumerate(bags.rows) if row.split == VALIDATION]
    temperature = fit_temperature(logits[chosen], [judged[number].label for number in chosen])
    splits = len({row.split for row in bags.rows})
    meter = ProgressMeter(Stage.RESAMPLING, splits * REPLICATES, "resamples")
    steps = evaluation(bags.rows, bags.classes, logits, temperature, config.threshold, config.seed)
    report = yield from run_steps(steps, meter, thread)
    meter = ProgressMeter(Stage.RESAMPLING, splits * PATCH_REPLICATES, "resamples")
    of_patches = patch_reports(bags.rows, bags.classes, judged, config.seed)
    patches = yield from run_steps(of_patches, meter, thread)
    words = yield from run_with_progress(partial(_region_words, learned), meter, thread)
    return replace(
        report,
        best_epoch=learned.best,
        left_out=tuple(map(str, learned.left_out)),
        patches=patches,
        regions_noted=words,
    )


def _region_words(learned: Learned) -> tuple[str, ...]:
    """Say what of the regions was not learned from."""
    bags = learned.bags
    words = list(map(str, learned.noted))
    training = [
        np.unique(labels)
        for row, labels in zip(bags.rows, bags.labels, strict=True)
        if row.split == TRAIN and labels is not None
    ]
    known = [bags.classes[number] for number in {*chain(*training)} if number >= 0]
    if len(known) == 1:
        words.append(
            f"All regions of the training slides are {known[0]}: nothing was learned from them. "
            "Learning needs regions of another class as well"
        )
    return tuple(words)


def save_learned(
    learned: Learned,
    report: Report,
    out: Path,
    config: TrainConfig,
    encoder: Encoder,
    notes: Mapping[str, str],
) -> None:
    """Write the model folder.

    Parameters
    ----------
    encoder
        That learning started from.
    notes
        More sections of the card.

    Raises
    ------
    ExportError
        When it cannot be written.
    """
    bags, student = learned.bags, learned.student
    training = [
        item for row, item in zip(bags.rows, bags.features, strict=True) if row.split == TRAIN
    ]
    info = ModelInfo(
        name=config.name,
        display_name=config.display_name or config.name,
        classes=bags.classes,
        mpp=student.spec.mpp,
        tile_px=student.spec.tile_px,
        temperature=report.temperature,
        threshold=report.threshold,
        demonstration=config.demonstration,
        licence=config.licence or encoder.licence,
        training_range=slides_range(
            [item.features for item in training], [item.boxes[:, :2] for item in training]
        ),
        description=config.description,
        granularity=config.granularity,
    )
    model = SlideModel(student, learned.slides.folded(), info)
    sections = card_sections(bags.rows, config, encoder, report) | dict(notes)
    zoo.save_model(model, out / MODEL, card=sections, replace=True)
