"""What encoders are judged on: labelled tiles and slides, and how they are divided."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from napari_xmag.config import AnchoredPath, ConfigSection

TaskName = Annotated[str, Field(pattern=r"^[\w][\w.-]*$")]
Folds = Annotated[int, Field(ge=2)] | Literal["leave-one-group-out"]


class PatchTask(ConfigSection):
    """Labelled tiles, and how they are divided."""

    name: TaskName = Field(description="Name in tables and of files.")
    tiles: AnchoredPath = Field(
        description="Folder with a folder of images for each class, or a table (CSV or .xlsx) "
        "tile,label[,group][,split][,mpp]."
    )
    test: AnchoredPath | None = Field(
        default=None,
        description="The same for test tiles; none: folds, or the splits of the table.",
    )
    mpp: float | None = Field(
        default=None, gt=0, description="µm per pixel of the tiles; a column mpp takes precedence."
    )
    test_mpp: float | None = Field(
        default=None, gt=0, description="The same for the test tiles; none: that of the others."
    )
    classes: dict[str, str] = Field(
        default={},
        description="Labels (or folders) to use, and the class that each means, such as "
        '{ colon_aca = "malignant", colon_n = "benign" }; none: all, under their own names.',
    )
    field_um: float | None = Field(
        default=None,
        gt=0,
        description="Side in µm of the field at the centre of each image that is looked at: the "
        "same for images of several sizes. None: the whole image.",
    )
    shots: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(),
        description="With test tiles: also train on only this many tiles of each class, at random.",
    )
    draws: int = Field(
        default=10, ge=1, description="How many times these few tiles are drawn; figures are means."
    )
    group: str | None = Field(
        default=None,
        description="Regular expression that finds the group (patient, case) in a file name: its "
        "first group, or the whole match. A column group takes precedence.",
    )
    folds: Folds = Field(default=5, description="Number of folds, if there are no test tiles.")
    crops: Literal["grid", "center"] = Field(
        default="grid",
        description="For images larger than a tile: average the features of a grid of tiles, or "
        "use one tile at the centre.",
    )
    limit: int | None = Field(
        default=None, ge=1, description="Largest number of tiles per class, drawn at random."
    )

    @model_validator(mode="after")
    def _tested_elsewhere(self) -> Self:
        if self.test is None and (self.shots or self.test_mpp is not None):
            raise ValueError("shots and test_mpp need test tiles")
        return self

    @model_validator(mode="after")
    def _group_compiles(self) -> Self:
        import re

        try:
            re.compile(self.group or "")
        except re.error as error:
            raise ValueError(f"group is not a regular expression: {error}") from error
        return self


class SlideTask(ConfigSection):
    """Labelled slides, and how they are divided."""

    name: TaskName = Field(description="Name in tables and of files.")
    cohort: AnchoredPath = Field(description="Table (CSV or .xlsx) slide,label[,patient][,mpp].")
    test: AnchoredPath | None = Field(
        default=None,
        description="Table of another institution: trained on all slides of the first, tested on "
        "this one.",
    )
    folds: Folds = Field(
        default=5, description="Number of folds by patient, if there is no test table."
    )
