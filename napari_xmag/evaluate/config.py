"""Every setting of an evaluation, read from TOML, each with its meaning."""

from typing import Annotated, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from napari_xmag.config import AnchoredPath, ConfigSection, NameOrFolder
from napari_xmag.evaluate.tasks import PatchTask, SlideTask
from napari_xmag.learn.fit_config import FitConfig
from napari_xmag.mil.head_settings import DEFAULT_HEAD, HeadSettings
from napari_xmag.nets.info import LEAST_LAYERS, Embedding, Granularity, Precision
from napari_xmag.nets.teachers.config import TeacherConfig

MANUAL = "docs/evaluate.md"


class EncoderConfig(ConfigSection):
    """One network and the scale at which it is applied."""

    name: str = Field(min_length=1, description="Name in tables and plots.")
    model: NameOrFolder | None = Field(
        default=None, description="A slide model, by name or folder: its student is used."
    )
    student: AnchoredPath | None = Field(
        default=None, description="Folder of a distilled student or of a plain timm network."
    )
    teacher: TeacherConfig | None = Field(
        default=None, description="A teacher, specified as for distillation."
    )
    shape: str | None = Field(
        default=None,
        description="An architecture with random weights, only for measuring speed: a known "
        "teacher (uni2-h) or a timm name.",
    )
    mpp: float | None = Field(
        default=None,
        gt=0,
        description="µm per pixel of its tiles. Known teachers and most folders state it; other "
        "teachers, shapes and plain timm networks need it.",
    )
    tile_px: int | None = Field(default=None, ge=16, description="Side of its tiles at that mpp.")
    layers: int = Field(
        default=1,
        ge=1,
        description="For a plain timm network: number of last layers whose features are "
        "concatenated. Distilled students state it.",
    )
    embedding: Embedding | None = Field(
        default=None,
        description="How tiles are read, instead of as the student states: avg, cls or avg+std.",
    )
    granularity: Granularity = Field(
        validation_alias=AliasChoices("granularity", "attends"),
        default="tiles",
        description="Patches that the head of a slide task weighs: whole tiles, or their cells "
        "(students only).",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [self.model, self.student, self.teacher, self.shape]
        if sum(source is not None for source in given) != 1:
            raise ValueError("name exactly one of model, student, teacher and shape")
        sizes = (self.mpp is not None, self.tile_px is not None)
        if self.model is not None and any(sizes):
            raise ValueError("a model states mpp and tile_px itself: leave them out")
        if self.layers > 1 and not (self.student and all(sizes)):
            raise ValueError("layers are for a plain timm network with mpp and tile_px")
        if self.embedding and not (self.student or self.model):
            raise ValueError("embedding is for a model or a student")
        if self.embedding and all(sizes) and self.layers < LEAST_LAYERS[self.embedding]:
            raise ValueError("the embedding avg+std needs layers of 2 or more")
        if self.shape and not all(sizes):
            raise ValueError("a shape needs mpp and tile_px")
        if self.teacher and self.granularity == "cells":
            raise ValueError("a teacher has no cells to attend over")
        if self.teacher:
            recipe = self.teacher.spec()
            if not (self.mpp or recipe.mpp) or not (self.tile_px or recipe.tile_px):
                raise ValueError("this teacher needs mpp and tile_px")
        elif any(sizes) and not all(sizes):
            raise ValueError("give mpp and tile_px together, or neither")
        return self


class MachineConfig(ConfigSection):
    """Where features are computed."""

    device: str = Field(default="auto", description="auto, cpu, cuda, mps.")
    precision: Precision = Field(
        default="float32",
        description="auto uses half precision on devices that are faster with it.",
    )
    batch_size: int | None = Field(
        default=None, ge=1, description="Tiles encoded at once; none: as many as suit the device."
    )


class BootstrapConfig(ConfigSection):
    """How sure the figures are."""

    replicates: int = Field(default=1000, ge=10, description="Number of bootstrap resamples.")
    level: float = Field(default=0.95, gt=0, lt=1, description="Confidence level of the intervals.")
    unit: Literal["auto", "row", "group"] = Field(
        default="auto",
        description="What is resampled: tiles (or slides), or whole groups (patients). auto: "
        "groups if there are at least 20.",
    )


class ProbeConfig(ConfigSection):
    """The classifiers that are put on frozen features."""

    methods: tuple[Literal["linear", "knn"], ...] = Field(
        default=("linear", "knn"), min_length=1, description="Probes to train."
    )
    strengths: tuple[float, ...] = Field(
        default=(1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
        min_length=1,
        description="Values of C for the logistic regression; the best is chosen by "
        "cross-validation within the training data.",
    )
    inner_folds: int = Field(
        default=5, ge=2, description="Largest number of folds for that choice."
    )
    bounded: bool = Field(
        default=False,
        description="For the logistic regression, bound each feature of what is tested by its "
        "lowest and highest value in the training data. A feature that hardly varies there, "
        "standardized, can outweigh all others on images of another source.",
    )
    neighbors: int = Field(default=20, ge=1, description="Neighbours of the kNN classifier.")
    most_iterations: int = Field(
        default=2000, ge=1, description="Largest number of iterations of the logistic regression."
    )


class EvaluateConfig(ConfigSection):
    """What all evaluations have."""

    seed: int = Field(default=0, description="Seed of folds, subsets and bootstrap.")
    cache: AnchoredPath | None = Field(
        default=None, description="Folder where features are stored."
    )
    machine: MachineConfig = MachineConfig()


class ComparisonConfig(EvaluateConfig):
    """Several encoders side by side."""

    encoders: tuple[EncoderConfig, ...] = Field(min_length=1, description="Networks to compare.")
    reference: str | None = Field(
        default=None, description="Encoder that the others are compared with; none: the first."
    )
    bootstrap: BootstrapConfig = BootstrapConfig()

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [encoder.name for encoder in self.encoders]
        if len(set(names)) < len(names):
            raise ValueError("give each encoder a name of its own")
        if self.reference is not None and self.reference not in names:
            raise ValueError(f"reference {self.reference!r} is none of {', '.join(names)}")
        if any(encoder.shape for encoder in self.encoders):
            raise ValueError("a shape has random weights: use it for speed only")
        return self

    @property
    def against(self) -> str:
        """Name of the encoder against which differences are stated."""
        return self.reference or self.encoders[0].name


class PatchConfig(ComparisonConfig):
    """``evaluate probe``."""

    tasks: tuple[PatchTask, ...] = Field(min_length=1, description="Patch tasks.")
    probe: ProbeConfig = ProbeConfig()

    @model_validator(mode="after")
    def _tasks_differ(self) -> Self:
        require_own_names([task.name for task in self.tasks])
        return self


class AgreementConfig(EvaluateConfig):
    """``evaluate agreement``."""

    fields: AnchoredPath = Field(description="Folder written by distill prepare.")
    validation: tuple[str, ...] = Field(
        default=(), description="Cases or slides held out, as in a distillation."
    )
    limit: int | None = Field(default=None, ge=1, description="Use at most this many fields.")
    training_fields: int = Field(
        default=600,
        ge=2,
        description="Number of fields of training cases for fitting the regression.",
    )
    teacher: TeacherConfig = Field(description="The teacher whose features are predicted.")
    encoders: tuple[EncoderConfig, ...] = Field(min_length=1, description="Students to compare.")

    @model_validator(mode="after")
    def _students(self) -> Self:
        names = [encoder.name for encoder in self.encoders]
        if len(set(names)) < len(names):
            raise ValueError("give each encoder a name of its own")
        if any(encoder.teacher or encoder.shape for encoder in self.encoders):
            raise ValueError("only students have cells to compare with a teacher's tiles")
        return self


class ShiftsConfig(ConfigSection):
    """Changes of the pictures; an empty list leaves a kind out."""

    stain: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(0.05, 0.1, 0.2), description="Strength of HED jitter; 0.05 is light, 0.2 strong."
    )
    blur: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(0.5, 1.0, 2.0), description="Standard deviation of a Gaussian blur, in µm."
    )
    jpeg: tuple[Annotated[int, Field(ge=1, le=95)], ...] = Field(
        default=(70, 40, 20), description="JPEG quality."
    )
    brightness: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(0.1, 0.2), description="Share by which it is raised or lowered."
    )
    contrast: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(0.1, 0.2), description="Share by which it is raised or lowered."
    )


class RobustnessConfig(PatchConfig):
    """``evaluate robustness``; of the probes only the linear one is asked."""

    shifts: ShiftsConfig = ShiftsConfig()

    @model_validator(mode="after")
    def _something_shifts(self) -> Self:
        if not any(self.shifts.model_dump().values()):
            raise ValueError("name at least one shift")
        return self


class SlidesConfig(ComparisonConfig):
    """``evaluate slides``."""

    tasks: tuple[SlideTask, ...] = Field(min_length=1, description="Slide tasks.")
    seeds: int = Field(default=3, ge=1, description="Repetitions, each with its own folds.")
    min_tissue: float = Field(
        default=0.2, ge=0, le=1, description="Smallest share of tissue in a tile."
    )
    hidden: int = Field(
        default=DEFAULT_HEAD.hidden, ge=1, description="Width of the gated attention."
    )
    dropout: float = Field(
        default=DEFAULT_HEAD.dropout,
        ge=0,
        lt=1,
        description="Share of feature values that are dropped at random in training.",
    )
    batch_size: int = Field(default=DEFAULT_HEAD.batch_size, ge=1, description="Slides per batch.")
    class_weights: bool = Field(
        default=DEFAULT_HEAD.class_weights, description="Weight classes by their inverse frequency."
    )
    fit: FitConfig = DEFAULT_HEAD.fit

    @model_validator(mode="after")
    def _tasks_differ(self) -> Self:
        require_own_names([task.name for task in self.tasks])
        return self

    def head_settings(self, seed: int) -> HeadSettings:
        """Return how the heads are built and learn."""
        return HeadSettings(
            hidden=self.hidden,
            dropout=self.dropout,
            batch_size=self.batch_size,
            class_weights=self.class_weights,
            seed=seed,
            fit=self.fit,
        )


class SpeedConfig(EvaluateConfig):
    """``evaluate speed``."""

    slides: tuple[AnchoredPath, ...] = Field(min_length=1, description="Slides to time.")
    mpp: float | None = Field(
        default=None, gt=0, description="µm per pixel, for slides that do not state it."
    )
    coarse: EncoderConfig = Field(description="The student's pipeline, at 5x.")
    fine: EncoderConfig | None = Field(
        default=None,
        description="The pipeline that it is compared with, at 20x; none: only the first.",
    )
    budget_seconds: float = Field(
        default=60.0,
        gt=0,
        description="Longest measurement of one stage; what takes longer is extrapolated and "
        "marked in the table.",
    )
    min_tissue: float = Field(
        default=0.2, ge=0, le=1, description="Smallest share of tissue in a tile."
    )
    workers: int | None = Field(default=None, ge=1, description="Number of reading threads.")
    analysis: bool = Field(
        default=True,
        description="If coarse names a slide model: also time the complete analysis, as the "
        "window runs it.",
    )
    machine: MachineConfig = MachineConfig(precision="auto")


def require_own_names(names: list[str]) -> None:
    """Refuse two tasks of one name."""
    if len(set(names)) < len(names):
        raise ValueError("give each task a name of its own")
