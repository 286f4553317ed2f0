"""Features of a slide's patches as they lie on disk; docs/features.md describes the layout."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag._about import NOTICE
from napari_xmag.errors import ResultError, shortened
from napari_xmag.features.key import FeatureKey
from napari_xmag.filenames import ABOUT
from napari_xmag.files import parse_json
from napari_xmag.nets.folders.folder import file_sha256

FORMAT, VERSION = "napari-xmag patch features", 1
FEATURES, PLACES = "features.npy", "places.npy"

EXACT = "float32"
"""The precision in which every device gives nearly the same features."""

Place = tuple[int, int]
_Part = Mapping[str, Any]

_MOST_CELLS = 2**28
"""Of a grid: that of the largest slides at the finest patches is far below."""


@dataclass(frozen=True, eq=False)
class PatchFeatures:
    """Features of the P patches of a slide, and where they lie; a `GridLike`.

    Attributes
    ----------
    features
        float16 (P, D), mapped from the file.
    columns, rows
        int64 (P,), place of each patch on the grid.
    shape
        Rows and columns of the whole grid, glass included.
    key
        Slide, encoder and grid.
    precision
        Number type of the encoder's arithmetic.
    names
        The slide's file name and the encoder's name, for people.
    mpp
        Level-0 µm per pixel, x and y.
    unreadable
        Patches that have no features because their tile could not be read, by (column, row), and
        the reason.
    mark
        Hash of all features and places as they are kept; empty for a part of them.
    """

    features: NDArray[np.float16]
    columns: NDArray[np.int64]
    rows: NDArray[np.int64]
    shape: tuple[int, int]
    key: FeatureKey
    precision: str
    names: tuple[str, str]
    mpp: tuple[float, float]
    unreadable: Mapping[Place, str] = field(default_factory=dict)
    mark: str = ""

    def __len__(self) -> int:
        return len(self.columns)

    def __repr__(self) -> str:
        slide, encoder = self.names
        return f"<{type(self).__name__} of {slide} by {encoder}: {self.features.shape}>"

    @property
    def stride_x(self) -> float:
        """Level-0 pixels from one column to the next."""
        return self.key.stride_x

    @property
    def stride_y(self) -> float:
        """Level-0 pixels from one row to the next."""
        return self.key.stride_y

    @property
    def origin_x(self) -> float:
        """Left edge of column 0 in level-0 pixels."""
        return self.key.origin_x

    @property
    def origin_y(self) -> float:
        """Top edge of row 0 in level-0 pixels."""
        return self.key.origin_y

    @property
    def places(self) -> frozenset[Place]:
        """Column and row of each patch."""
        return frozenset(zip(self.columns.tolist(), self.rows.tolist(), strict=True))

    def corners(self) -> NDArray[np.float64]:
        """Return left, top, right, bottom of each patch in level-0 pixels, float (P, 4)."""
        return self.corners_at(self.columns, self.rows)

    def corners_at(
        self, columns: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the same of any places of the grid, whether there is a patch or not."""
        left = self.origin_x + columns * self.stride_x
        top = self.origin_y + rows * self.stride_y
        return np.stack([left, top, left + self.stride_x, top + self.stride_y], axis=1)

    @cached_property
    def index(self) -> NDArray[np.int64]:
        """Which patch lies at each place of the grid, int64 of its shape; -1 for none."""
        index = np.full(self.shape, -1, np.int64)
        index[self.rows, self.columns] = np.arange(len(self))
        return index

    def where(
        self, columns: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> NDArray[np.int64] | None:
        """Return which rows of features describe these patches, -1 for what could not be read.

        None when a patch is missing: another tissue was encoded.
        """
        inside = (rows < self.shape[0]) & (columns < self.shape[1]) & (rows >= 0) & (columns >= 0)
        if not inside.all():
            return None
        missing = -2
        index = np.full(self.shape, missing, np.int64)
        index[self.rows, self.columns] = np.arange(len(self))
        for column, row in self.unreadable:
            index[row, column] = -1
        found = index[rows, columns]
        return None if (found == missing).any() else found

    def part(self, rows: NDArray[np.int64]) -> "PatchFeatures":
        """Return some of the patches, by the rows of their features.

        All of them, in whatever order, are returned as they are, still mapped. Unreadable patches
        are left out of a part.
        """
        if len(np.unique(rows)) == len(self):
            return self
        return replace(
            self,
            features=self.features[rows],
            columns=self.columns[rows],
            rows=self.rows[rows],
            unreadable={},
            mark="",
        )

    def without(self, places: Collection[Place]) -> "PatchFeatures":
        """Return these features without some patches, by (column, row).

        What is kept beside them is found again for the same places left out.
        """
        if not places:
            return self
        cells = zip(self.columns.tolist(), self.rows.tolist(), strict=True)
        rows = np.flatnonzero([cell not in places for cell in cells])
        words = f"{self.mark} without {sorted(places)}"
        mark = hashlib.sha256(words.encode()).hexdigest() if self.mark else ""
        return replace(self.part(rows), unreadable=self.unreadable, mark=mark)

    @classmethod
    def load(cls, folder: Path) -> "PatchFeatures":
        """Read what `FeatureWriter` wrote, and check it.

        Raises
        ------
        ResultError
            When the folder holds no features, not all of them, or altered ones.
        """
        try:
            about = parse_json((folder / ABOUT).read_text(encoding="utf-8"))
            _check(folder, about)
            places = np.load(folder / PLACES, allow_pickle=False).astype(np.int64)
            return _from_about(about, mapped(folder), places)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ResultError(
                expected=f"the features of a slide, whole and unaltered, in {folder}",
                found=shortened(f"{type(error).__name__}: {error}"),
                hint="Remove the folder and encode the slide again.",
                causes=[error],
            ) from error


def about_json(kept: PatchFeatures, sha256: Mapping[str, str]) -> dict[str, Any]:
    """Return all but the arrays, ready for JSON."""
    key, (rows, columns) = kept.key, kept.shape
    patches, length = kept.features.shape
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "notice": NOTICE,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "slide": {
            "name": kept.names[0],
            "fingerprint": key.slide,
            "image": key.image,
            "mpp_x": kept.mpp[0],
            "mpp_y": kept.mpp[1],
        },
        "encoder": {
            "name": kept.names[1],
            "fingerprint": key.encoder,
            "granularity": key.granularity,
            "mpp": key.mpp,
            "tile_px": key.tile_px,
            "precision": kept.precision,
        },
        "grid": {
            "rows": rows,
            "columns": columns,
            "stride_x": key.stride_x,
            "stride_y": key.stride_y,
            "origin_x": key.origin_x,
            "origin_y": key.origin_y,
            "aside": key.aside,
        },
        "chosen": {"tissue": key.tissue, "regions": key.regions},
        "patches": patches,
        "dimensions": length,
        "unreadable": [
            {"column": column, "row": row, "reason": reason}
            for (column, row), reason in kept.unreadable.items()
        ],
        "sha256": dict(sha256),
    }


def mark_of(sha256: Mapping[str, str]) -> str:
    """Return `PatchFeatures.mark`, by the SHA-256 of both files."""
    return hashlib.sha256(f"{sha256[FEATURES]} {sha256[PLACES]}".encode()).hexdigest()


def mapped(folder: Path) -> NDArray[np.float16]:
    """Return the features in a folder without reading them."""
    features: NDArray[np.float16] = np.load(folder / FEATURES, mmap_mode="r", allow_pickle=False)
    return features


def stated_slide(folder: Path) -> tuple[str, int, str] | None:
    """Return which slide, picture and encoder a folder states, without looking at the features.

    None when it holds none on the slide's own grid, or those of regions alone.
    """
    try:
        about = parse_json((folder / ABOUT).read_text(encoding="utf-8"))
        slide = about["slide"]
        if about["grid"].get("aside", False) or about.get("chosen", {}).get("regions"):
            return None
        return slide["fingerprint"], slide["image"], about["encoder"]["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _check(folder: Path, about: Any) -> None:
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise ValueError(f"{ABOUT} is not from this program")
    if about["format_version"] > VERSION:
        raise ValueError(f"format version {about['format_version']}, newer than this program")
    for name in (FEATURES, PLACES):
        if file_sha256(folder / name) != about["sha256"][name]:
            raise ValueError(f"{name} was altered: its SHA-256 is not the one in {ABOUT}")


def _from_about(
    about: Mapping[str, Any], features: NDArray[np.float16], places: NDArray[np.int64]
) -> PatchFeatures:
    slide, encoder, grid = about["slide"], about["encoder"], about["grid"]
    wanted = about["patches"], about["dimensions"]
    if features.shape != wanted or places.shape != (len(features), 2):
        raise ValueError(f"arrays of {features.shape} and {places.shape} instead of {wanted}")
    if features.dtype != np.float16:
        raise ValueError(f"features of {features.dtype} instead of float16")
    unreadable = {
        (int(item["column"]), int(item["row"])): str(item["reason"]) for item in about["unreadable"]
    }
    shape = int(grid["rows"]), int(grid["columns"])
    _require_on_grid(np.concatenate([places, _columns_and_rows(unreadable)]), shape)
    return PatchFeatures(
        features,
        places[:, 0],
        places[:, 1],
        shape,
        _key(slide, encoder, grid, about.get("chosen", {})),
        str(encoder["precision"]),
        (str(slide["name"]), str(encoder["name"])),
        (float(slide["mpp_x"]), float(slide["mpp_y"])),
        unreadable,
        mark_of(about["sha256"]),
    )


def _key(slide: _Part, encoder: _Part, grid: _Part, chosen: _Part) -> FeatureKey:
    stride_x, stride_y = float(grid["stride_x"]), float(grid["stride_y"])
    if min(stride_x, stride_y) <= 0:
        raise ValueError(f"steps of {stride_x} × {stride_y} pixels")
    return FeatureKey(
        str(slide["fingerprint"]),
        int(slide["image"]),
        str(encoder["fingerprint"]),
        encoder["granularity"],
        float(encoder["mpp"]),
        int(encoder["tile_px"]),
        stride_x,
        stride_y,
        float(grid["origin_x"]),
        float(grid["origin_y"]),
        bool(grid.get("aside", False)),
        str(chosen.get("tissue", "")),
        str(chosen.get("regions", "")),
    )


def _columns_and_rows(places: Iterable[Place]) -> NDArray[np.int64]:
    return np.array([*places], np.int64).reshape(-1, 2)


def _require_on_grid(places: NDArray[np.int64], shape: tuple[int, int]) -> None:
    """Check that each column and row is one of a grid that a slide can have."""
    rows, columns = shape
    if not (rows >= 0 and columns >= 0 and rows * columns <= _MOST_CELLS):
        raise ValueError(f"a grid of {rows} × {columns} patches")
    if (places < 0).any() or (places >= [columns, rows]).any():
        raise ValueError("patches beyond the grid")
