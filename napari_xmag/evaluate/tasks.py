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
        description="Folder with a folder of pictures for each class, or a table (CSV or .xlsx) "
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


class SlideTask(ConfigSection):
    """Labelled slides, and how they are divided."""

    name: TaskName = Field(description="Name in tables and of files.")
    cohort: AnchoredPath = Field(description="Table (CSV or .xlsx) slide,label[,patient][,mpp].")
    test: AnchoredPath | None = Field(
        default=None,
        description="Table of another institution: trained on all of the first, tested on this.",
    )
    folds: Folds = Field(default=5, description="Folds by patient, where there is no test table.")
