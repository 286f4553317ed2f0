"""Every setting of a distillation, read from TOML, each with its meaning."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from napari_xmag import config
from napari_xmag.config import AnchoredPath, ConfigSection, NetworkSource
from napari_xmag.fields.view_config import ViewConfig
from napari_xmag.learn.fit_config import FitConfig
from napari_xmag.nets.info import Embedding, LearningPrecision
from napari_xmag.nets.student import StudentSpec
from napari_xmag.nets.teachers.config import TeacherConfig


class DataConfig(ConfigSection):
    """Where the fields are and which slides are held out."""

    fields: AnchoredPath = Field(description="Folder written by distill prepare.")
    targets: Literal["cached", "online"] = Field(
        default="cached",
        description="cached: the teachers see each field once, unchanged, and their features are "
        "stored. online (as published): they see each view with the same flips and colours as the "
        "student, which costs the teachers' time in every epoch but no disk space.",
    )
    cache: AnchoredPath | None = Field(
        default=None,
        description="Folder for the student's views and the teachers' features, if cached.",
    )
    validation: tuple[str, ...] = Field(
        default=(),
        description="Names of cases or slides to hold out; * and ? are wildcards. All slides of a "
        "case are held out together. Empty: one case in eight.",
    )
    validation_fields: int = Field(
        default=2000,
        ge=1,
        description="Number of held-out fields to validate on after each epoch, evenly spread.",
    )
    agreement_fields: int = Field(
        default=256,
        ge=0,
        description="Number of training fields for measuring the agreement with the teachers "
        "after each epoch (docs/distill.md); 0: not measured.",
    )
    training_fields: int | None = Field(
        default=None,
        ge=1,
        description="Learn from at most this many of the fields that are not held out, evenly "
        "spread over the slides (for learning curves); none: all. The cached features are those "
        "of all fields, so that runs of different numbers share them.",
    )
    limit: int | None = Field(
        default=None, ge=1, description="Use at most this many fields (for trial runs)."
    )

    @model_validator(mode="after")
    def _has_a_cache(self) -> "DataConfig":
        if self.targets == "cached" and self.cache is None:
            raise ValueError("cached targets need the folder data.cache")
        return self


class StudentConfig(ConfigSection):
    """The network that learns."""

    start: NetworkSource = Field(description="timm name, local-dir:FOLDER or hf-hub:OWNER/NAME.")
    pretrained: bool = Field(
        default=False, description="For a plain timm name: download its pretrained weights."
    )
    mpp: float = Field(default=2.0, gt=0, description="µm per pixel of its tiles (2.0 is 5x).")
    tile_px: int = Field(
        default=256,
        ge=16,
        description="Side of its tiles in pixels; its token grid must pool exactly to the cells.",
    )
    cells: int = Field(default=4, ge=1, description="Cells per side, one for each teacher tile.")
    mean: tuple[float, float, float] = Field(
        default=(0.485, 0.456, 0.406), description="Of RGB values from 0 to 1."
    )
    std: tuple[float, float, float] = Field(
        default=(0.229, 0.224, 0.225), description="Of RGB values from 0 to 1."
    )
    embedding: Embedding = Field(
        default="avg",
        description="Mean of the tokens (avg), the class token (cls), or, with two layers or more, "
        "the means and the standard deviations of all but the last (avg+std).",
    )
    layers: int = Field(
        default=1,
        ge=1,
        description="Number of last layers whose features are concatenated (blocks of a "
        "transformer, stages of other networks). 1 as published; 2 or 3 keep what the last layer "
        "discards.",
    )
    arguments: dict[str, Any] = Field(
        default={}, description="Further arguments of timm.create_model."
    )
    freeze_norm: bool = Field(
        default=True,
        description="Keep the initial statistics of the batch norms. The statistics of a few "
        "slides harm a network that was trained on far more; a student with random initial "
        "weights needs its own (false). Layer norms have none.",
    )
    checkpointing: bool = Field(
        default=False,
        description="Recompute the student's activations instead of storing them (gradient "
        "checkpointing): about a third slower, in a fraction of the memory, so that larger "
        "batches fit on a GPU.",
    )
    lr_scale: float = Field(
        default=1.0,
        gt=0,
        description="Learning rate of the student relative to fit.lr, the rate of its projection "
        "heads. Below 1 it keeps more of its initial weights.",
    )

    def spec(self) -> StudentSpec:
        """Return what the student expects of its tiles."""
        return StudentSpec(
            mpp=self.mpp,
            tile_px=self.tile_px,
            mean=self.mean,
            std=self.std,
            cells=self.cells,
            embedding=self.embedding,
            layers=self.layers,
        )


class LossConfig(ConfigSection):
    """Weights of the two losses."""

    global_weight: float = Field(
        default=1.0, ge=0, description="Weight of the loss of the whole field."
    )
    local_weight: float = Field(default=0.5, ge=0, description="Weight of the loss of the cells.")
    center: Literal["none", "all", "slide"] = Field(
        default="all",
        description="Mean teacher feature that is subtracted before the cosine: none (as "
        "published), that of all training fields, or that of the field's own slide. Features "
        "after a ReLU all point in about the same direction; without their mean the cosine "
        "compares what differs. Without that of the slide, stain and scanner are no shortcut "
        "either.",
    )


class RunConfig(ConfigSection):
    """The run itself."""

    out: AnchoredPath = Field(description="Folder to write the student to.")
    records: AnchoredPath | None = Field(
        default=None,
        description="Folder for checkpoint, scalars.csv, tensorboard and config.json; none: next "
        "to the student's folder, with -run appended to its name.",
    )
    batch_size: int = Field(default=64, ge=2, description="Fields per batch, over all processes.")
    seed: int = Field(
        default=0, description="Seed of the order, the views and the initial weights."
    )
    keep: Literal["last", "best"] = Field(
        default="last",
        description="Which epoch's student is written: the last one, or the one with the best "
        "agreement on held-out slides (always the best if fit.patience is set).",
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, mps.")
    precision: LearningPrecision = Field(
        default="auto",
        description="auto: bfloat16 where the device supports it, else float16 on CUDA, else "
        "float32. Losses are scaled in float16.",
    )
    compile: bool = Field(
        default=False,
        description="Speed up the student by torch.compile, which needs a compiler (Triton on "
        "CUDA) and takes minutes at the start.",
    )
    threads: int | None = Field(
        default=None,
        ge=0,
        description="Number of threads that prefetch fields; none: 8 with a GPU, 0 on a CPU.",
    )
    licence: str = Field(default="not stated", description="Licence of the student's weights.")

    @property
    def record_folder(self) -> Path:
        """Folder of checkpoint and scalars."""
        return self.records or self.out.with_name(f"{self.out.name}-run")


class DistillConfig(ConfigSection):
    """All of it; one TOML table for each part."""

    data: DataConfig
    student: StudentConfig
    teacher: TeacherConfig
    more_teachers: tuple[TeacherConfig, ...] = ()
    run: RunConfig
    loss: LossConfig = LossConfig()
    augment: ViewConfig = ViewConfig()
    fit: FitConfig = FitConfig()

    @property
    def teachers(self) -> tuple[TeacherConfig, ...]:
        """All teachers; a student may learn from several at once."""
        return (self.teacher, *self.more_teachers)


def load_distill_config(path: Path, settings: Sequence[str] = ()) -> DistillConfig:
    """Read a TOML file; ``settings`` such as ``fit.epochs=3`` win over it.

    Raises
    ------
    ConfigError
        When the file cannot be read or a value is wrong; every wrong value is named.
    """
    return config.load_config(path, settings, DistillConfig, manual="docs/distill.md")
