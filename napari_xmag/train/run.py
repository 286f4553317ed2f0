"""From a table of labelled slides to a slide model: features once, then the head."""

import csv
import json
import logging
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_xmag import zoo
from napari_xmag.analyze.files import whole_file
from napari_xmag.distill.encoder import Encoder
from napari_xmag.nets.abmil import AttentionHead
from napari_xmag.nets.device import pick_device, place
from napari_xmag.nets.model import ModelInfo, SlideModel, TrainingRange
from napari_xmag.train.calibration import fit_temperature
from napari_xmag.train.card import card_sections
from napari_xmag.train.cohort import SPLITS, TRAIN, VALIDATION, Cohort, CohortRow
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.events import Event, Finished, Progress
from napari_xmag.train.features import SlideFeatures, slide_features
from napari_xmag.train.fit import Fit
from napari_xmag.train.metrics import slide_metrics
from napari_xmag.train.splits import split_by_patient
from napari_xmag.train.task import HeadTask, SlideBag

log = logging.getLogger(__name__)
MODEL_FOLDER = "model"


@dataclass(frozen=True)
class Bags:
    """Every slide's row, features and class index, in one order."""

    rows: list[CohortRow]
    features: list[SlideFeatures]
    classes: tuple[str, ...]

    def of(self, split: str) -> list[SlideBag]:
        """Return the bags of one split."""
        return [
            (torch.from_numpy(item.features), self.classes.index(row.label))
            for row, item in zip(self.rows, self.features, strict=True)
            if row.split == split
        ]


def train(
    cohort: Cohort,
    encoder: Encoder,
    out: Path,
    config: TrainConfig | None = None,
    *,
    cache: Path | None = None,
    notes: Mapping[str, str] | None = None,
) -> Generator[Event, None, None]:
    """Train a slide model; the last event is Finished with the model's folder.

    Parameters
    ----------
    cohort
        Table of labelled slides.
    encoder
        The student whose features are used, unchanged.
    out
        Folder of the run: ``model/``, metrics.json and predictions.csv.
    cache
        Folder where features are kept for another run.
    notes
        More sections of the model card, heading to text.

    Raises
    ------
    CohortError
        When the table has problems, each named by its row, or cannot be split.
    """
    config, begun = config or TrainConfig(), time.monotonic()
    cohort.require_good()
    rows = split_by_patient(
        cohort.rows, validation=config.validation, test=config.test, seed=config.seed
    )
    device = pick_device(config.device)
    student = place(encoder.student, device)
    features = []
    for row in rows:
        item = yield from slide_features(
            row.slide,
            row.mpp,
            student,
            attends=config.attends,
            min_tissue=config.min_tissue,
            cache=cache,
            encoder_id=_weights_id(student) if cache else "",
        )
        features.append(item)
        yield Progress("slides", len(features), len(rows))
    bags = Bags(rows, features, cohort.classes)
    task = yield from train_head(bags, config)
    model, metrics, logits = _finish(bags, task, encoder, config)
    metrics["seconds"] = round(time.monotonic() - begun)
    out.mkdir(parents=True, exist_ok=True)
    sections = card_sections(rows, config, encoder, metrics) | dict(notes or {})
    zoo.save_model(model.cpu(), out / MODEL_FOLDER, card=sections, replace=True)
    _write_records(out, bags, model.info, logits, metrics, config)
    yield Finished(out / MODEL_FOLDER, metrics)


def train_head(bags: Bags, config: TrainConfig) -> Generator[Event, None, HeadTask]:
    """Train a head on the training slides of ``bags``; validation slides are only watched.

    Returns
    -------
    The task with averaged weights.
    """
    torch.manual_seed(config.seed)
    training, validation = bags.of(TRAIN), bags.of(VALIDATION)
    tiles = torch.cat([features for features, _ in training])
    counts = np.bincount([label for _, label in training], minlength=len(bags.classes))
    weights = (
        counts.sum() / (len(counts) * counts) if config.class_weights else np.ones(len(counts))
    )
    task = HeadTask(
        AttentionHead(tiles.shape[1], config.hidden, len(bags.classes), config.dropout),
        tiles.mean(0),
        tiles.std(0).clamp_min(1e-3),
        torch.from_numpy(weights).float(),
    )
    steps = -(-len(training) // config.batch_size)
    fit = Fit(task, config.fit, steps, nullcontext)

    def batches(epoch: int) -> Iterator[list[SlideBag]]:
        torch.manual_seed(config.seed * 100_003 + epoch)
        order = np.random.default_rng([config.seed, epoch]).permutation(len(training))
        for start in range(0, len(order), config.batch_size):
            yield [training[i] for i in order[start : start + config.batch_size]]

    def evaluate(model: nn.Module) -> dict[str, float]:
        return _figures(model, validation, bags.classes) if validation else {}

    yield from fit.run(batches, evaluate)
    average = fit.average
    assert isinstance(average, HeadTask)
    return average


@torch.inference_mode()
def _logits(task: HeadTask, bags: Sequence[SlideBag]) -> NDArray[np.float64]:
    return np.array([task.logits(features).double().numpy() for features, _ in bags])


def _figures(
    task: nn.Module, bags: Sequence[SlideBag], classes: tuple[str, ...]
) -> dict[str, float]:
    assert isinstance(task, HeadTask)
    logits = torch.from_numpy(_logits(task, bags))
    labels = torch.tensor([label for _, label in bags])
    loss = nn.functional.cross_entropy(logits, labels)
    figures = slide_metrics(labels.numpy(), logits.softmax(1).numpy(), classes)
    return {
        "validation_loss": float(loss),
        "validation_auc": figures["auc"],
        "validation_accuracy": figures["accuracy"],
    }


def _finish(
    bags: Bags, task: HeadTask, encoder: Encoder, config: TrainConfig
) -> tuple[SlideModel, dict[str, Any], NDArray[np.float64]]:
    """Return the model with all that goes into its folder, its figures and all logits."""
    head = task.folded()
    everything = [
        (torch.from_numpy(item.features), bags.classes.index(row.label))
        for row, item in zip(bags.rows, bags.features, strict=True)
    ]
    logits = _logits(task, everything)
    labels = np.array([label for _, label in everything])
    splits = np.array([row.split for row in bags.rows])
    chosen = splits == VALIDATION
    training = [f.features for f, s in zip(bags.features, splits, strict=True) if s == TRAIN]
    info = ModelInfo(
        name=config.name,
        display_name=config.display_name or config.name,
        classes=bags.classes,
        mpp=encoder.student.spec.mpp,
        tile_px=encoder.student.spec.tile_px,
        temperature=fit_temperature(logits[chosen], labels[chosen]),
        demonstration=config.demonstration,
        licence=config.licence or encoder.licence,
        training_range=TrainingRange.fit(training) if len(training) >= 3 else None,
        description=config.description,
        attends=config.attends,
    )
    calibrated = np.array([info.probabilities(row)[1] for row in logits])
    metrics: dict[str, Any] = {
        split: slide_metrics(labels[splits == split], calibrated[splits == split], bags.classes)
        for split in SPLITS
        if (splits == split).any()
    }
    metrics["temperature"] = info.temperature
    return SlideModel(encoder.student, head, info), metrics, logits


def _write_records(
    out: Path,
    bags: Bags,
    info: ModelInfo,
    logits: NDArray[np.float64],
    metrics: Mapping[str, Any],
    config: TrainConfig,
) -> None:
    """Write metrics.json and predictions.csv beside the model."""
    with (
        whole_file(out / "predictions.csv") as part,
        part.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        names = [f"probability_{name}" for name in bags.classes]
        writer.writerow(["slide", "patient", "split", "label", "predicted", *names])
        for row, values in zip(bags.rows, logits, strict=True):
            calibrated = info.probabilities(values)[1]
            predicted = bags.classes[int(calibrated.argmax())]
            writer.writerow(
                [row.slide.name, row.patient, row.split, row.label, predicted, *calibrated]
            )
    content = {"metrics": dict(metrics), "config": config.model_dump()}
    with whole_file(out / "metrics.json") as part:
        part.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _weights_id(student: nn.Module) -> str:
    import hashlib

    digest = hashlib.sha256()
    for name, tensor in sorted(student.state_dict().items()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
