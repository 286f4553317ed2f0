"""Every setting of a training on labelled slides, each with its meaning.

``title`` is its name for people, ``basic`` says that a form shows it first, ``unit`` stands behind
a number. ``only`` names another setting and the value without which this one is not used,
``suggested`` is where a form begins when an empty setting gets a value.
"""

from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator

from napari_xmag.learn.fit_config import FitConfig
from napari_xmag.mil.head_settings import DEFAULT_HEAD, HeadSettings
from napari_xmag.nets.info import Granularity, Precision

BASIC: dict[str, Any] = {"basic": True}
END_TO_END: dict[str, Any] = {"only": {"mode": "end-to-end"}}


def _unit(name: str, *, basic: bool = False) -> dict[str, Any]:
    return {"unit": name, **(BASIC if basic else {})}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

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
        title="Turn tiles",
        description="Each tile is turned by quarters and mirrored at random: tissue has no top.",
    )
    stain: float = Field(
        default=0.05,
        ge=0,
        le=1,
        title="Stain differences",
        description="How much stronger or weaker haematoxylin and eosin are made at random, once "
        "for each slide and epoch: 0.05 is light, 0.2 strong, 0 none.",
    )
    blur_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        title="Slides out of focus",
        description="Share of slides that are blurred in an epoch.",
    )
    blur: float = Field(
        default=1.0,
        gt=0,
        title="Strongest blur",
        description="Standard deviation of the strongest blur.",
        json_schema_extra=_unit("px"),
    )


class EndToEndConfig(_Section):
    """How encoder and head learn together."""

    fit: FitConfig = Field(
        default=FitConfig(
            epochs=10, lr=2e-4, weight_decay=0.05, warmup=0.2, ema_decay=0.99, patience=4
        ),
        title="Course of the training",
        description="Epochs, learning rate of the head, and what else the optimiser needs.",
    )
    head_epochs: int = Field(
        default=20,
        ge=1,
        title="Epochs of the head before",
        description="The encoder joins after so many epochs of the head. A head that knows the "
        "training slides by heart has no error left from which an encoder could learn.",
    )
    encoder_rate: float = Field(
        default=0.1,
        ge=0,
        title="Learning rate of the encoder",
        description="The encoder's rate as a share of the head's. It knows tissue already and "
        "should change little; 0 leaves it as it is.",
    )
    layer_decay: float = Field(
        default=0.9,
        gt=0,
        le=1,
        title="Decay by layer",
        description="Each layer learns at this share of the rate of the layer after it: the first "
        "layers see edges and colours, which need no change.",
    )
    batch_size: int = Field(
        default=2,
        ge=1,
        title="Slides in a batch",
        description="Slides that make one step together. Memory does not depend on it.",
        json_schema_extra=_unit("slides"),
    )
    chunk: int | None = Field(
        default=None,
        ge=1,
        title="Tiles at once",
        description="Tiles that are in memory at once; empty: what suits the device. It is halved "
        "where memory runs out. The result does not depend on it.",
        json_schema_extra=_unit("tiles") | {"suggested": 32},
    )
    store_gb: float = Field(
        default=20.0,
        ge=0,
        title="Disk for tiles",
        description="Tiles are kept on disk up to this size while it trains; those of further "
        "slides are read from the slides again each time.",
        json_schema_extra=_unit("GB"),
    )


class TrainConfig(_Section):
    """How a slide model is trained."""

    name: str = Field(
        default="my-model",
        title="Name",
        description="Name of the model: letters, digits, dot, dash.",
        json_schema_extra=BASIC,
    )
    mode: Literal["head", "end-to-end"] = Field(
        default="head",
        title="What learns",
        description="head: only the part that weighs the tiles (minutes). end-to-end: then the "
        "encoder with it, on every tile of every slide (hours without a graphics card).",
        json_schema_extra=BASIC,
    )
    granularity: Granularity = Field(
        validation_alias=AliasChoices("granularity", "attends"),
        default="cells",
        title="The map shows",
        description="What the head weighs: whole tiles, or their cells (a finer map).",
        json_schema_extra=BASIC,
    )
    validation: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        title="Validation share",
        description="Share of patients that choose temperature, threshold and the best epoch.",
        json_schema_extra=BASIC,
    )
    test: float = Field(
        default=0.2,
        ge=0,
        lt=1,
        title="Test share",
        description="Share of patients held out for the figures.",
        json_schema_extra=BASIC,
    )
    folds: int = Field(
        default=0,
        ge=0,
        title="Folds",
        description="From 2 on: as many trainings, so that each patient is tested once. "
        "0: a single training.",
        json_schema_extra=BASIC,
    )
    split_by: Literal["patient", "site"] = Field(
        default="patient",
        title="Hold out",
        description="patient: patients are drawn. site: whole sites are held out for the test (one "
        "for each fold), which shows how the model does elsewhere.",
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        title="Threshold",
        description="Probability from which a slide counts as the second of two classes; empty: "
        "chosen on the validation slides.",
    )
    display_name: str = Field(
        default="", title="Shown name", description="Name for people; empty: the name."
    )
    description: str = Field(
        default="", title="Description", description="One sentence for the model chooser."
    )
    demonstration: bool = Field(
        default=False,
        title="Demonstration",
        description="Mark it as a demonstration model.",
    )
    licence: str = Field(
        default="",
        title="Licence",
        description="Licence of the weights; empty: that of the encoder.",
    )
    hidden: int = Field(
        default=DEFAULT_HEAD.hidden,
        ge=1,
        title="Width of the head",
        description="Width of the gated attention.",
    )
    dropout: float = Field(
        default=DEFAULT_HEAD.dropout,
        ge=0,
        lt=1,
        title="Dropout",
        description="Share of feature values that are dropped at random while it learns.",
    )
    batch_size: int = Field(
        default=DEFAULT_HEAD.batch_size,
        ge=1,
        title="Slides in a batch, head",
        description="Slides in a batch while only the head learns.",
        json_schema_extra=_unit("slides"),
    )
    min_tissue: float = Field(
        default=0.2,
        ge=0,
        le=1,
        title="Least tissue",
        description="Least share of tissue in a tile or cell.",
    )
    tiles_per_epoch: int | None = Field(
        default=None,
        ge=1,
        title="Tiles of a slide",
        description="Most tiles of a slide that take part in an epoch end to end, drawn anew each "
        "time; empty: every tile.",
        json_schema_extra=_unit("tiles") | END_TO_END | {"suggested": 200},
    )
    class_weights: bool = Field(
        default=DEFAULT_HEAD.class_weights,
        title="Balance classes",
        description="Rare classes count more, so that all count alike.",
    )
    label_smoothing: float = Field(
        default=DEFAULT_HEAD.label_smoothing,
        ge=0,
        lt=1,
        title="Label smoothing",
        description="Share of a label that is spread over all classes, against overconfidence.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        title="Seed",
        description="Seed of split, order, changes of tiles and new weights.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(
        default="auto",
        title="Device",
        description="Where it computes; auto: the fastest there is.",
    )
    precision: Precision = Field(
        default="auto",
        title="Precision",
        description="auto: half precision where the device computes so. float32: full precision.",
    )
    fit: FitConfig = Field(
        default=DEFAULT_HEAD.fit,
        title="Course of the head's training",
        description="Epochs, learning rate, and what else the optimiser needs.",
    )
    augment: AugmentConfig = Field(
        default=AugmentConfig(),
        title="Changes of tiles",
        description="How tiles are changed at random while the encoder learns.",
        json_schema_extra=END_TO_END,
    )
    end_to_end: EndToEndConfig = Field(
        default=EndToEndConfig(),
        title="End to end",
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
            seed=self.seed,
            fit=self.head_fit,
        )

    @property
    def head_fit(self) -> FitConfig:
        """How the head learns alone: in full, or until the encoder joins."""
        if self.mode == "head":
            return self.fit
        epochs = min(self.fit.epochs, self.end_to_end.head_epochs)
        return self.fit.model_copy(update={"epochs": epochs})
