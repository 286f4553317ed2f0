"""Every setting of a training on labelled slides, each with its meaning.

``title`` is its name for people, ``basic`` says that a form shows it first, ``unit`` is that of a
number, ``choices`` are names of values for people. ``only`` names another setting and the value
without which this one is not used. Where there may be no value, ``absent`` says what that means
(else "automatic"), and ``suggested`` is where a form begins when a value is given.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)

from napari_xmag.cohort.labels import class_key
from napari_xmag.learn.fit_config import FitConfig
from napari_xmag.mil.head_settings import DEFAULT_HEAD, HeadSettings
from napari_xmag.nets.folders.folder import check_name
from napari_xmag.nets.info import DEVICE_NAMES, PRECISION_NAMES, Granularity, Precision

HEAD_EPOCHS = 20
"""Of the head alone before the encoder joins, where there are labels of slides only."""

BASIC: dict[str, Any] = {"basic": True}
END_TO_END: dict[str, Any] = {"only": {"mode": "end-to-end"}}


def _unit(name: str) -> dict[str, Any]:
    return {"unit": name}


def _choices(names: Mapping[str, str]) -> dict[str, Any]:
    return {"choices": dict(names)}


def _checked(name: str) -> str:
    check_name(name)  # else a training of hours would end with a model that cannot be saved
    return name


def class_pairs(text: str) -> dict[str, str]:
    """Read ``Tumor = malignant; Stroma = benign``.

    Raises
    ------
    ValueError
        When a part is no pair of names, or names a class twice.
    """
    pairs: dict[str, str] = {}
    meant: dict[str, str] = {}
    for part in filter(str.strip, text.split(";")):
        name, mark, label = (word.strip() for word in part.partition("="))
        # In other letters it is the same class, which has one label.
        first = meant.setdefault(class_key(name), label)
        if not (name and mark and label) or name in pairs or first != label:
            raise ValueError(
                f"{part.strip()!r}: write each class once, as Tumor = malignant; Stroma = benign"
            )
        pairs[name] = label
    return pairs


def _class_names(text: str) -> str:
    class_pairs(text)
    return text


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, values: Any) -> Any:
        """Let a part of a section change what it names and leave the rest as it is here."""
        if not isinstance(values, dict):
            return values
        parts = {
            name: {**field.default.model_dump(), **values[name]}
            for name, field in cls.model_fields.items()
            if isinstance(field.default, BaseModel) and isinstance(values.get(name), dict)
        }
        return {**values, **parts}


class AugmentConfig(_Section):
    """How tiles are changed while the encoder learns."""

    turns: bool = Field(
        default=True,
        title="Rotate and flip",
        description="Each tile is rotated by a multiple of 90° and flipped at random: tissue has "
        "no upright orientation.",
    )
    stain: float = Field(
        default=0.05,
        ge=0,
        le=1,
        title="Stain variation",
        description="How strongly haematoxylin and eosin are varied at random, once per slide and "
        "epoch: 0 is none, 0.05 mild, 0.2 strong.",
    )
    blur_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        title="Share of blurred slides",
        description="Fraction of slides that are blurred in an epoch, as if out of focus.",
    )
    blur: float = Field(
        default=1.0,
        gt=0,
        title="Maximum blur",
        description="Standard deviation of the strongest blur.",
        json_schema_extra=_unit("px"),
    )


class EndToEndConfig(_Section):
    """How encoder and head learn together."""

    fit: FitConfig = Field(
        default=FitConfig(
            epochs=10, lr=2e-4, weight_decay=0.05, warmup=0.2, ema_decay=0.99, patience=4
        ),
        title="Optimizer",
        description="Epochs, learning rate of the head, and the other settings of the optimizer.",
    )
    head_epochs: int | None = Field(
        default=None,
        ge=1,
        title="Head-only epochs",
        description="Number of epochs in which only the head learns, before the encoder joins. "
        "Automatic: 20, as a head that fits the training slides perfectly leaves the encoder no "
        "error to learn from; where regions are learned from, as many as for a head alone.",
        json_schema_extra={"suggested": HEAD_EPOCHS},
    )
    encoder_rate: float = Field(
        default=0.1,
        ge=0,
        title="Encoder learning rate",
        description="Learning rate of the encoder as a fraction of the head's. The encoder "
        "already represents tissue well and should change little; 0 leaves it unchanged.",
    )
    layer_decay: float = Field(
        default=0.9,
        gt=0,
        le=1,
        title="Layer-wise decay",
        description="Each layer learns at this fraction of the rate of the layer after it: the "
        "first layers see edges and colours, which need little change.",
    )
    batch_size: int = Field(
        default=2,
        ge=1,
        title="Slides per batch",
        description="Number of slides in one training step. Memory does not depend on it.",
    )
    chunk: int | None = Field(
        default=None,
        ge=1,
        title="Tiles at once",
        description="Number of tiles in memory at once. Automatic: as many as suit the device; "
        "half as many if memory runs out. The result does not depend on it.",
        json_schema_extra={"suggested": 32},
    )
    store_gb: float = Field(
        default=20.0,
        ge=0,
        title="Disk space for tiles",
        description="Tiles are kept on disk during training, up to this size. Those of the other "
        "slides are read from the slides again each time.",
        json_schema_extra=_unit("GB"),
    )


class RegionsConfig(_Section):
    """How regions of slides are learned from."""

    weight: float = Field(
        default=DEFAULT_HEAD.patch_weight,
        ge=0,
        title="Weight",
        description="How much the labelled patches of a slide count in training, relative to the "
        "label of the slide: 1 is equally, 0 is not at all (regions are then used for evaluation "
        "only).",
    )
    classes: Annotated[str, AfterValidator(_class_names)] = Field(
        default="",
        title="Names of classes",
        description="For classes of regions that the table names differently: Tumor = malignant; "
        "Stroma = benign. Names that differ only in upper and lower case need no entry.",
    )
    origin: Literal["bounds", "slide"] = Field(
        default="bounds",
        title="Origin",
        description="Where (0, 0) is in the files: the corner of the scanned area, as in QuPath, "
        "or of the whole slide. If the slide has no scanned bounds, both are the same.",
        json_schema_extra=_choices({"bounds": "Scanned bounds (QuPath)", "slide": "Whole slide"}),
    )

    @property
    def renamed(self) -> dict[str, str]:
        """What the table calls a class of regions, by its name there."""
        return class_pairs(self.classes)


class TrainConfig(_Section):
    """How a slide model is trained."""

    name: Annotated[str, AfterValidator(_checked)] = Field(
        default="my-model",
        title="Model name",
        description="Letters, digits, dots, dashes and underscores.",
        json_schema_extra=BASIC,
    )
    mode: Literal["head", "end-to-end"] = Field(
        default="head",
        title="What to train",
        description="Head only: the part that weighs the patches (takes minutes). Head and "
        "encoder: the whole model end to end, on every tile of every slide (takes hours without a "
        "graphics card).",
        json_schema_extra=BASIC | _choices({"head": "Head only", "end-to-end": "Head and encoder"}),
    )
    granularity: Granularity = Field(
        validation_alias=AliasChoices("granularity", "attends"),
        default="cells",
        title="Detail of the map",
        description="Size of the patches that the model weighs and the heat map shows. Coarse: a "
        "whole tile. Fine: a cell, which is a small part of a tile.",
        json_schema_extra=BASIC | _choices({"tiles": "Coarse (tiles)", "cells": "Fine (cells)"}),
    )
    validation: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        title="Validation share",
        description="Fraction of patients used to choose the best epoch, the temperature and the "
        "decision threshold.",
        json_schema_extra=BASIC,
    )
    test: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        title="Test share",
        description="Fraction of patients held out to measure the performance.",
        json_schema_extra=BASIC,
    )
    folds: int = Field(
        default=0,
        ge=0,
        title="Cross-validation folds",
        description="2 or more: that many models are trained, and each patient is tested once. 0: "
        "a single model.",
        json_schema_extra=BASIC,
    )
    split_by: Literal["patient", "site"] = Field(
        default="patient",
        title="Hold out",
        description="Patients: drawn at random. Whole sites: held out for the test (one for each "
        "fold), which shows how the model performs at other sites.",
        json_schema_extra=_choices({"patient": "Patients", "site": "Whole sites"}),
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        title="Decision threshold",
        description="Probability above which the second of two classes is predicted. Automatic: "
        "chosen on the validation slides.",
        json_schema_extra={"suggested": 0.5},
    )
    display_name: str = Field(
        default="",
        title="Display name",
        description="Name that is shown to users. Empty: the model name.",
    )
    description: str = Field(
        default="",
        title="Description",
        description="One sentence for the list of models.",
    )
    demonstration: bool = Field(
        default=False,
        title="Demonstration model",
        description="Every prediction of a demonstration model carries a warning.",
    )
    licence: str = Field(
        default="",
        title="Licence",
        description="Licence of the weights. Empty: that of the encoder.",
    )
    hidden: int = Field(
        default=DEFAULT_HEAD.hidden,
        ge=1,
        title="Width of the attention",
        description="Number of hidden units in the gated attention of the head.",
    )
    dropout: float = Field(
        default=DEFAULT_HEAD.dropout,
        ge=0,
        lt=1,
        title="Dropout",
        description="Fraction of feature values that are dropped at random during training.",
    )
    batch_size: int = Field(
        default=DEFAULT_HEAD.batch_size,
        ge=1,
        title="Slides per batch (head)",
        description="Number of slides in one training step while only the head learns.",
    )
    min_tissue: float = Field(
        default=0.2,
        ge=0,
        le=1,
        title="Minimum tissue",
        description="A tile or cell is used if at least this fraction of it is tissue (0 to 1).",
    )
    tiles_per_epoch: int | None = Field(
        default=None,
        ge=1,
        title="Tiles per slide",
        description="Largest number of tiles of a slide used in an end-to-end epoch; they are "
        "drawn anew in each epoch. All: every tile is used.",
        json_schema_extra=END_TO_END | {"suggested": 200, "absent": "all"},
    )
    class_weights: bool = Field(
        default=DEFAULT_HEAD.class_weights,
        title="Balance classes",
        description="Slides of rare classes count more, so that all classes count equally.",
    )
    label_smoothing: float = Field(
        default=DEFAULT_HEAD.label_smoothing,
        ge=0,
        lt=1,
        title="Label smoothing",
        description="Fraction of each label that is spread over all classes, which makes the "
        "model less overconfident.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        title="Random seed",
        description="Determines the split, the order of the slides, the augmentation and the "
        "initial weights.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto",
        title="Device",
        description="Where the training runs. Automatic: the fastest device of this computer.",
        json_schema_extra=_choices(DEVICE_NAMES),
    )
    precision: Precision = Field(
        default="auto",
        title="Numerical precision",
        description="Automatic: half precision on devices that support it. Full: float32.",
        json_schema_extra=_choices(PRECISION_NAMES),
    )
    fit: FitConfig = Field(
        default=DEFAULT_HEAD.fit,
        title="Training of the head",
        description="Epochs, learning rate, and the other settings of the optimizer.",
    )
    regions: RegionsConfig = Field(
        default=RegionsConfig(),
        title="Regions",
        description="Annotated parts of slides with their own classes; their files are listed in "
        "the table's column regions.",
    )
    augment: AugmentConfig = Field(
        default=AugmentConfig(),
        title="Augmentation",
        description="Random changes to tiles while the encoder learns.",
        json_schema_extra=END_TO_END,
    )
    end_to_end: EndToEndConfig = Field(
        default=EndToEndConfig(),
        title="End-to-end training",
        description="How encoder and head learn together.",
        json_schema_extra=END_TO_END,
    )

    @property
    def head_settings(self) -> HeadSettings:
        """How the head is built and learns, alone or until the encoder joins."""
        return HeadSettings(
            hidden=self.hidden,
            dropout=self.dropout,
            batch_size=self.batch_size,
            class_weights=self.class_weights,
            label_smoothing=self.label_smoothing,
            patch_weight=self.regions.weight,
            seed=self.seed,
            fit=self.head_fit,
        )

    def settled(self, *, from_regions: bool) -> "TrainConfig":
        """Return these settings with those filled in that depend on the cohort.

        Parameters
        ----------
        from_regions
            Whether regions of training slides are learned from.
        """
        if self.end_to_end.head_epochs is not None:
            return self
        # a head that learns from patches does not fit them all, however long it learns
        epochs = self.fit.epochs if from_regions else HEAD_EPOCHS
        together = self.end_to_end.model_copy(update={"head_epochs": epochs})
        return self.model_copy(update={"end_to_end": together})

    @property
    def head_fit(self) -> FitConfig:
        """How the head learns alone: in full, or until the encoder joins."""
        if self.mode == "head":
            return self.fit
        epochs = min(self.fit.epochs, self.end_to_end.head_epochs or HEAD_EPOCHS)
        return self.fit.model_copy(update={"epochs": epochs})
