"""Every setting of a distillation, read from TOML, each with its meaning."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from napari_xmag import config
from napari_xmag.config import AnchoredPath, ConfigSection, NetworkSource
from napari_xmag.fields.view_config import ViewConfig
from napari_xmag.learn.fit_config import FitConfig
from napari_xmag.nets.info import LearningPrecision
from napari_xmag.nets.student import StudentSpec
from napari_xmag.nets.teacher_config import TeacherConfig


class DataConfig(ConfigSection):
    """Where the fields are and which slides are held out."""

    fields: AnchoredPath = Field(description="Folder made by distill prepare.")
    targets: Literal["cached", "online"] = Field(
        default="cached",
        description="cached: the teachers see each field once, as it is; their features are kept. "
        "online (as published): they see each view with the flips and colours that the student "
        "sees, which takes the teachers' time in each epoch and no disk.",
    )
    cache: AnchoredPath | None = Field(
        default=None,
        description="Folder for the student's views and the teachers' features, when cached.",
    )
    validation: tuple[str, ...] = Field(
        default=(),
        description="Cases or slides held out, by name; * and ? stand for anything. All slides of "
        "a case are held out together. Empty: one case in eight.",
    )
    validation_fields: int = Field(
        default=2000,
        ge=1,
        description="Look at so many held-out fields after each epoch, evenly spread.",
    )
    agreement_fields: int = Field(
        default=256,
        ge=0,
        description="Training fields from which the agreement with the teachers is measured after "
        "each epoch (docs/distill.md); 0: it is not.",
    )
    limit: int | None = Field(
        default=None, ge=1, description="Use at most so many fields (for trials)."
    )

    @model_validator(mode="after")
    def _has_a_cache(self) -> "DataConfig":
        if self.targets == "cached" and self.cache is None:
            raise ValueError("cached targets need the folder data.cache")
        return self


class StudentConfig(ConfigSection):
    """The network that learns."""

    start: NetworkSource = Field(description="timm name, local-dir:FOLDER or hf-hub:OWNER/NAME.")
    pretrained: bool = Field(default=False, description="For a plain timm name: fetch its weights.")
    mpp: float = Field(default=2.0, gt=0, description="µm per pixel of its tiles (2.0 is 5x).")
    tile_px: int = Field(
        default=256, ge=16, description="Side of its tiles; must pool exactly to cells."
    )
    cells: int = Field(default=4, ge=1, description="Cells a side, one for each teacher tile.")
    mean: tuple[float, float, float] = Field(
        default=(0.485, 0.456, 0.406), description="Of RGB in 0…1."
    )
    std: tuple[float, float, float] = Field(
        default=(0.229, 0.224, 0.225), description="Of RGB in 0…1."
    )
    embedding: Literal["avg", "cls"] = Field(
        default="avg", description="Mean of the tokens, or CLS token."
    )
    layers: int = Field(
        default=1,
        ge=1,
        description="How many of its last layers are read side by side (blocks of a transformer, "
        "stages of other networks). 1 as published; 2 or 3 keep what the last layer puts aside.",
    )
    arguments: dict[str, Any] = Field(
        default={}, description="More arguments of timm.create_model."
    )
    freeze_norm: bool = Field(
        default=True,
        description="Batch norms of the student keep the statistics they started with. Statistics "
        "of a few slides harm a network that was trained on much more; a student that starts from "
        "random weights needs its own (false). Layer norms have none.",
    )
    checkpointing: bool = Field(
        default=False,
        description="Compute the student's activations again instead of keeping them: about a "
        "third slower, in a fraction of the memory. Larger batches then fit on a GPU.",
    )
    lr_scale: float = Field(
        default=1.0,
        gt=0,
        description="Learning rate of the student as a share of fit.lr, at which its projection "
        "heads learn. Below 1 it keeps more of what it started from.",
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

    global_weight: float = Field(default=1.0, ge=0, description="Weight of the whole field's loss.")
    local_weight: float = Field(default=0.5, ge=0, description="Weight of the cells' loss.")
    center: Literal["none", "all", "slide"] = Field(
        default="all",
        description="Mean teacher feature that is taken off before cosines are taken: none (as "
        "published), that of all training fields, or that of the field's own slide. Features after "
        "a ReLU all point the same way; without their mean the cosine sees what differs. Without "
        "that of the slide, its stain and scanner are no short cut either.",
    )


class RunConfig(ConfigSection):
    """The run itself."""

    out: AnchoredPath = Field(description="Folder of the student to write.")
    records: AnchoredPath | None = Field(
        default=None,
        description="Folder of checkpoint, scalars.csv, tensorboard and config.json; none: beside "
        "the student's, with -run after its name.",
    )
    batch_size: int = Field(
        default=64, ge=2, description="Fields in a batch, those of all processes together."
    )
    seed: int = Field(default=0, description="Seed of order, views and new weights.")
    keep: Literal["last", "best"] = Field(
        default="last",
        description="Which epoch's student is written: the last one's, or that with the best "
        "agreement on held-out slides (always so with fit.patience).",
    )
    device: str = Field(default="auto", description="auto, cpu, cuda, mps.")
    precision: LearningPrecision = Field(
        default="auto",
        description="auto: bfloat16 where the device computes so, else float16 on CUDA, else "
        "float32. Losses are scaled in float16.",
    )
    compile: bool = Field(
        default=False,
        description="Let torch.compile make the student faster; it needs a compiler (on CUDA "
        "Triton), and minutes at the start.",
    )
    threads: int | None = Field(
        default=None,
        ge=0,
        description="Threads that read fields ahead; none: 8 with a GPU, 0 on a CPU, which has "
        "no time to spare.",
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


def load_config(path: Path, settings: Sequence[str] = ()) -> DistillConfig:
    """Read a TOML file; ``settings`` such as ``fit.epochs=3`` win over it.

    Raises
    ------
    ConfigError
        When the file cannot be read or a value is wrong; every wrong value is named.
    """
    return config.load_config(path, settings, DistillConfig, manual="docs/distill.md")
