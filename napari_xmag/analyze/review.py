"""What a pathologist says of the model's choice of tiles, kept beside the result."""

import csv
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from napari_xmag._about import NOTICE
from napari_xmag.analyze.result import SlideResult
from napari_xmag.errors import ResultError
from napari_xmag.files import whole_file

_COLUMNS = ("x", "y", "width", "height", "attention", "verdict", "notice")


class Verdict(StrEnum):
    """Whether the model was right to look at a tile."""

    RIGHT = "right"
    WRONG = "wrong"


def write_review(result: SlideResult, verdicts: Mapping[int, Verdict], path: Path | str) -> None:
    """Write the judged tiles as a table, boxes in level-0 pixels.

    Parameters
    ----------
    result
        Whose tiles were judged.
    verdicts
        By index in ``result.patches``.
    path
        CSV file to write.

    Raises
    ------
    ExportError
        When the file cannot be written.
    """
    tiles = result.patches
    with (
        whole_file(Path(path)) as part,
        part.open("w", newline="", encoding="utf-8") as stream,
    ):
        table = csv.writer(stream)
        table.writerow(_COLUMNS)
        for tile, verdict in sorted(verdicts.items()):
            box = (tiles.x[tile], tiles.y[tile], tiles.width[tile], tiles.height[tile])
            values = (repr(float(value)) for value in (*box, tiles.attention[tile]))
            table.writerow([*values, str(verdict), NOTICE])


def read_review(result: SlideResult, path: Path | str) -> dict[int, Verdict]:
    """Read what `write_review` wrote, for the same tiles.

    Raises
    ------
    ResultError
        When the file is no such table, or names a tile that this result does not have.
    """
    tiles = result.patches
    known = {(float(x), float(y)): i for i, (x, y) in enumerate(zip(tiles.x, tiles.y, strict=True))}
    try:
        with Path(path).open(newline="", encoding="utf-8") as stream:
            return {
                known[float(row["x"]), float(row["y"])]: Verdict(row["verdict"])
                for row in csv.DictReader(stream)
            }
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ResultError(
            expected=f"verdicts on the tiles of this result in {path}",
            found=f"{type(error).__name__}: {error}",
            hint="Choose the review.csv that was exported with this result.",
            causes=(error,),
        ) from error
