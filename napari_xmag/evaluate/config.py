"""Every setting of an evaluation, read from TOML, each with its meaning."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from napari_xmag.config import AnchoredPath, NameOrFolder, Section
from napari_xmag.distill.config import TeacherConfig
from napari_xmag.train.config import TrainConfig
from napari_xmag.train.fit import FitConfig

MANUAL = "docs/evaluate.md"

TaskName = Annotated[str, Field(pattern=r"^[\w][\w.-]*$")]
Folds = Annotated[int, Field(ge=2)] | Literal["leave-one-group-out"]


class EncoderConfig(Section):
    """One network and the scale at which it is applied."""

    name: str = Field(min_length=1, description="Name in tables and plots.")
    model: NameOrFolder | None = Field(
        default=None, description="A slide model of the zoo, by name or folder: its student."
    )
    student: AnchoredPath | None = Field(
        default=None, description="Folder of a distilled student, or of a plain timm network."
    )
    teacher: TeacherConfig | None = Field(
        default=None, description="A teacher, described as for distillation."
    )
    shape: str | None = Field(
        default=None,
        description="An architecture with random weights, for speed only: a known teacher "
        "(uni2-h) or a timm name.",
    )
    mpp: float | None = Field(
        default=None,
        gt=0,
        description="µm per pixel at which it sees tissue. Known teachers and most folders say it "
        "themselves; other teachers, shapes and plain timm networks need it.",
    )
    tile_px: int | None = Field(default=None, ge=16, description="Side of its tiles at that mpp.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [self.model, self.student, self.teacher, self.shape]
        if sum(source is not None for source in given) != 1:
            raise ValueError("name exactly one of model, student, teacher and shape")
        sizes = (self.mpp is not None, self.tile_px is not None)
        if self.model is not None and any(sizes):
            raise ValueError("a model states its own mpp and tile_px: leave them out")
        if self.shape and not all(sizes):
            raise ValueError("a shape needs mpp and tile_px")
        if self.teacher:
            recipe = self.teacher.spec()
            if not (self.mpp or recipe.mpp) or not (self.tile_px or recipe.tile_px):
                raise ValueError("this teacher needs mpp and tile_px")
        elif any(sizes) and not all(sizes):
            raise ValueError("give mpp and tile_px together, or neither")
        return self


class MachineConfig(Section):
    """Where features are computed."""

    device: str = Field(default="auto", description="auto, cpu, cuda, mps.")
    precision: Literal["auto", "float32"] = Field(
        default="float32", description="auto uses half precision where the device gains by it."
    )
    batch_size: int | None = Field(
        default=None, ge=1, description="Tiles encoded at once; none: what suits the device."
    )


class BootstrapConfig(Section):
    """How sure the figures are."""

    replicates: int = Field(default=1000, ge=10, description="Resampled tables.")
    level: float = Field(default=0.95, gt=0, lt=1, description="Share that an interval covers.")
    unit: Literal["auto", "row", "group"] = Field(
        default="auto",
        description="What is resampled: tiles (or slides), or whole groups (patients). auto: "
        "groups where there are at least 20.",
    )


class ProbeConfig(Section):
    """The classifiers that are put on frozen features."""

    methods: tuple[Literal["linear", "knn"], ...] = Field(
        default=("linear", "knn"), min_length=1, description="Which ones."
    )
    strengths: tuple[float, ...] = Field(
        default=(1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0),
        min_length=1,
        description="C of the logistic regression; the best is chosen by cross-validation inside "
        "the training data.",
    )
    inner_folds: int = Field(default=5, ge=2, description="Folds of that choice, at most.")
    neighbors: int = Field(default=20, ge=1, description="Of the kNN classifier.")
    most_iterations: int = Field(default=2000, ge=1, description="Of the logistic regression.")


class PatchTask(Section):
    """Labelled tiles, and how they are divided."""

    name: TaskName = Field(description="Name in tables and of files.")
    tiles: AnchoredPath = Field(
        description="Folder with a folder of pictures for each class, or a CSV table "
        "tile,label[,group][,split][,mpp]."
    )
    test: AnchoredPath | None = Field(
        default=None, description="The same for test tiles; none: folds, or the table's splits."
    )
    mpp: float | None = Field(
        default=None, gt=0, description="µm per pixel of the tiles; a column mpp wins over it."
    )
    group: str | None = Field(
        default=None,
        description="Regular expression for the file name that gives the group (patient, case): "
        "its first bracket, or all that it matches. A column group wins over it.",
    )
    folds: Folds = Field(default=5, description="Number of folds, where there are no test tiles.")
    crops: Literal["grid", "center"] = Field(
        default="grid",
        description="Where a picture is larger than a tile: features of tiles that cover all of "
        "it are averaged, or one tile at the centre is taken.",
    )
    limit: int | None = Field(
        default=None, ge=1, description="At most so many tiles of a class, drawn by seed."
    )

    @model_validator(mode="after")
    def _group_compiles(self) -> Self:
        import re

        try:
            re.compile(self.group or "")
        except re.error as error:
            raise ValueError(f"group is no regular expression: {error}") from error
        return self


class SlideTask(Section):
    """Labelled slides, and how they are divided."""

    name: TaskName = Field(description="Name in tables and of files.")
    cohort: AnchoredPath = Field(description="CSV table slide,label[,patient][,mpp].")
    test: AnchoredPath | None = Field(
        default=None,
        description="Table of another institution: trained on all of the first, tested on this.",
    )
    folds: Folds = Field(default=5, description="Folds by patient, where there is no test table.")


class EvaluateConfig(Section):
    """What all evaluations have."""

    seed: int = Field(default=0, description="Seed of folds, draws and bootstrap.")
    cache: AnchoredPath | None = Field(default=None, description="Folder that keeps features.")
    machine: MachineConfig = MachineConfig()


class ComparisonConfig(EvaluateConfig):
    """Several encoders side by side."""

    encoders: tuple[EncoderConfig, ...] = Field(min_length=1, description="Networks to compare.")
    reference: str | None = Field(
        default=None, description="Encoder against which differences are stated; none: the first."
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
            raise ValueError("a shape has random weights: it says something of speed only")
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


class SlidesConfig(ComparisonConfig):
    """``evaluate slides``."""

    tasks: tuple[SlideTask, ...] = Field(min_length=1, description="Slide tasks.")
    seeds: int = Field(default=3, ge=1, description="Repetitions, each with folds of its own.")
    min_tissue: float = Field(
        default=0.2, ge=0, le=1, description="Least share of tissue in a tile."
    )
    hidden: int = Field(default=128, ge=1, description="Width of the gated attention.")
    dropout: float = Field(default=0.25, ge=0, lt=1, description="Share of feature values dropped.")
    batch_size: int = Field(default=8, ge=1, description="Slides in a batch.")
    class_weights: bool = Field(default=True, description="Rare classes count more.")
    fit: FitConfig = TrainConfig().fit

    @model_validator(mode="after")
    def _tasks_differ(self) -> Self:
        require_own_names([task.name for task in self.tasks])
        return self

    def training(self, seed: int) -> TrainConfig:
        """Return the settings of the head's training."""
        return TrainConfig(
            hidden=self.hidden,
            dropout=self.dropout,
            batch_size=self.batch_size,
            min_tissue=self.min_tissue,
            class_weights=self.class_weights,
            seed=seed,
            device=self.machine.device,
            fit=self.fit,
        )


class SpeedConfig(EvaluateConfig):
    """``evaluate speed``."""

    slides: tuple[AnchoredPath, ...] = Field(min_length=1, description="Slides to time.")
    mpp: float | None = Field(
        default=None, gt=0, description="µm per pixel, for slides that do not state it."
    )
    coarse: EncoderConfig = Field(description="The student's way, at 5x.")
    fine: EncoderConfig | None = Field(
        default=None, description="The way it is compared with, at 20x; none: only the first."
    )
    budget_seconds: float = Field(
        default=60.0,
        gt=0,
        description="A stage that takes longer is measured so long and extrapolated, which the "
        "table says.",
    )
    min_tissue: float = Field(
        default=0.2, ge=0, le=1, description="Least share of tissue in a tile."
    )
    workers: int | None = Field(default=None, ge=1, description="Reading threads.")
    analysis: bool = Field(
        default=True,
        description="Where coarse names a slide model: also time the whole analysis as the window "
        "runs it.",
    )
    machine: MachineConfig = MachineConfig(precision="auto")


def require_own_names(names: list[str]) -> None:
    """Refuse two tasks of one name."""
    if len(set(names)) < len(names):
        raise ValueError("give each task a name of its own")
