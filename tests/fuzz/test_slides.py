"""Damaged slides of every kind: opened or refused in words, never anything else."""

from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.campaign import _LEICA_CORNER, _Victim, run
from tests.fuzz.mutations import Keeps, mutate
from tests.fuzz.seeds import SEEDS
from tests.fuzz.victim import use


@pytest.mark.parametrize("kind", SEEDS)
def test_what_is_looked_for_is_found(kind: str, tmp_path: Path) -> None:
    """A sound slide shows every place where it is; held against another corner it does not."""
    path = tmp_path / f"slide{SEEDS[kind].suffix}"
    SEEDS[kind].write(path)
    x, y = _LEICA_CORNER if kind == "Leica SCN" else (0.0, 0.0)
    for keeps in Keeps:
        assert use(path, (x, y), keeps) == "opened"
        elsewhere = use(path, (x + 100, y), keeps)
        # A shape is held against the slide's own bounds, whatever its corner.
        assert elsewhere.startswith("wrong place: level 0") == (keeps is Keeps.PLACES)


def test_a_process_that_dies_is_noticed_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "slide.tif"
    SEEDS["strips, plain"].write(path)
    with _Victim() as victim:
        assert victim.use(path, (0.0, 0.0), Keeps.PLACES) == "opened"
        victim._child.kill()
        victim._child.wait()
        victim._renew()
        assert victim.use(path, (0.0, 0.0), Keeps.PLACES) == "opened"


def test_mutations_are_the_same_for_the_same_seed() -> None:
    data = bytes(range(256)) * 8
    made = [mutate(data, np.random.default_rng([1, 2])) for _ in range(2)]
    assert made[0] == made[1]
    assert made[0].data != data


def test_300_damaged_slides_harm_nobody() -> None:
    fates = list(run(300, seed=0))
    assert [fate for fate in fates if fate.is_bad] == []
    # most of them would teach nothing if they were all refused at the first byte
    assert sum(fate.words == "opened" for fate in fates) > 100
    assert sum(fate.words == "refused" for fate in fates) > 50
