"""What a result.json must hold: whoever shows, exports or reports a saved result relies on it."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from napari_xmag.analyze.table import PatchTable

_MOST_CELLS = 2**28
"""Of a grid: that of the largest slides at the finest patches is far below."""

_MOST_CLASSES = 10_000

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e15, le=1e15)]
Positive = Annotated[float, Field(allow_inf_nan=False, gt=0, le=1e15)]
Count = Annotated[int, Field(ge=1, le=2**40)]
# Sums of float numbers may be a little beyond.
Share = Annotated[float, Field(ge=-1e-6, le=1 + 1e-6)]
Color = Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(min_length=3, max_length=4)]
# Becomes the name of a folder.
Fingerprint = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]*$", max_length=128)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Image(_Part):
    index: Count = 1
    count: Count = 1


class _Box(_Part):
    x: Number
    y: Number
    width: Positive
    height: Positive


class _Slide(_Part):
    path: str
    fingerprint: Fingerprint
    mpp_x: Positive
    mpp_y: Positive
    mpp_source: str
    width: Count
    height: Count
    bounds: _Box
    image: _Image | None = None
    objective_power: Positive | None = None


class _Model(_Part):
    name: str
    sha256: str
    tile_px: Count
    mpp: Positive
    display_name: str | None = None
    threshold: Share | None = None
    colors: list[Color] = []


class _Unreadable(_Box):
    reason: str


class _Flag(_Part):
    code: str
    words: str


class _Regions(_Part):
    file: str
    classes: dict[str, int] = {}
    left_out: dict[str, int] = {}


class _Settings(_Part):
    regions: _Regions | None = None


class _Tissue(_Part):
    choice: str | None = None
    area_mm2: Annotated[float, Field(ge=0, le=1e15)] | None = None


class _Grid(_Part):
    rows: Annotated[int, Field(ge=0, le=_MOST_CELLS)]
    columns: Annotated[int, Field(ge=0, le=_MOST_CELLS)]
    stride_x: Positive
    stride_y: Positive
    origin_x: Number
    origin_y: Number


class _Document(_Part):
    created: str
    slide: _Slide
    model: _Model
    classes: Annotated[list[str], Field(min_length=1, max_length=_MOST_CLASSES)]
    logits: list[Number]
    probabilities_raw: list[Share]
    probabilities: list[Share]
    flags: list[_Flag]
    tissue: _Tissue = _Tissue()
    tiles: int
    unreadable: list[_Unreadable]
    grid: _Grid
    seconds: dict[str, Number]
    settings: _Settings
    versions: dict[str, str]


def require_document(data: Mapping[str, Any]) -> None:
    """Check that all is there that a result is shown, exported and reported by.

    Raises
    ------
    ValueError
        With the place of the first fault, and what is wrong there.
    """
    try:
        found = _Document.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}") from error
    lengths = {len(found.logits), len(found.probabilities), len(found.probabilities_raw)}
    if len(lengths) > 1 or not lengths <= {0, len(found.classes)}:
        raise ValueError(f"{sorted(lengths)} numbers for {len(found.classes)} classes")
    if found.grid.rows * found.grid.columns > _MOST_CELLS:
        raise ValueError(f"a grid of {found.grid.rows} × {found.grid.columns} patches")


def require_on_grid(patches: PatchTable, grid: tuple[int, int]) -> None:
    """Check that each patch lies in a cell of the grid.

    Raises
    ------
    ValueError
        When one does not.
    """
    for name, places, most in zip(
        ("row", "column"), (patches.row, patches.column), grid, strict=True
    ):
        if len(places) and not (places.min() >= 0 and places.max() < most):
            raise ValueError(f"patches beyond {name} {most} of the grid")
