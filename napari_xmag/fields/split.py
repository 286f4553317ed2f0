"""Which fields are learned from and which are held out."""

from collections.abc import Sequence
from fnmatch import fnmatch

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import ConfigError
from napari_xmag.fields.shards import FieldRecord


def held_out(records: Sequence[FieldRecord], patterns: Sequence[str], seed: int) -> list[str]:
    """Return the cases kept for validation; all slides of a case are held out together.

    Parameters
    ----------
    patterns
        Of names of cases or slides; ``*`` and ``?`` stand for anything. One case in eight is
        drawn when there is none.

    Raises
    ------
    ConfigError
        When a pattern names nothing, or nothing would be left on one side.
    """
    names = sorted({(record.case, record.slide) for record in records})
    cases = sorted({case for case, _ in names})

    def fits(pattern: str, case: str, slide: str) -> bool:
        return fnmatch(case, pattern) or fnmatch(slide, pattern)

    for pattern in patterns:
        if not any(fits(pattern, *name) for name in names):
            raise _bad_split(f"no slide like {pattern!r} among {', '.join(s for _, s in names)}")
    if patterns:
        chosen = sorted({n[0] for n in names if any(fits(pattern, *n) for pattern in patterns)})
    else:
        draw = np.random.default_rng(seed).permutation(len(cases))
        chosen = sorted(cases[i] for i in draw[: max(1, len(cases) // 8)])
    if not cases or len(chosen) == len(cases):
        raise _bad_split(f"{len(chosen)} of {len(cases)} cases held out")
    return chosen


def rows_of(records: Sequence[FieldRecord], cases: Sequence[str]) -> NDArray[np.intp]:
    """Return the rows of these cases."""
    wanted = set(cases)
    return np.flatnonzero([record.case in wanted for record in records])


def evenly_spaced(rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Return at most so many of the rows, evenly spaced."""
    chosen: NDArray[np.intp] = rows
    if len(rows) > most:
        chosen = rows[np.linspace(0, len(rows) - 1, most).round().astype(int)]
    return chosen


def _bad_split(found: str) -> ConfigError:
    return ConfigError(
        expected="slides for training and others held out for validation",
        found=found,
        hint="Correct data.validation, or prepare more slides.",
    )
