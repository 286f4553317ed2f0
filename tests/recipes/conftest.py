"""Lets tests import the recipes of the documents, and makes small tasks for them."""

import sys
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.nets.encoder import save_encoder
from tests.nets.students import CASES
from tests.pictures import write_colored

sys.path.append(str(Path(__file__).resolve().parents[2] / "docs" / "recipes"))


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tasks of two sources, of pictures in two colours, and one test picture a class."""
    folder = tmp_path_factory.mktemp("sources")
    draw = np.random.default_rng(0)
    for source in ("one", "two", "test"):
        write_colored(folder / source, (64, 64), 20, lambda _, number: f"{number}.png", draw)
    tasks = (("a", "one", 'test = "test"'), ("b", "two", "folds = 2"), ("c", "two", "folds = 3"))
    text = "[bootstrap]\nreplicates = 50\n[probe]\nmethods = ['linear']\nstrengths = [0.01]\n"
    text += "[[encoders]]\nname = 'replaced'\nmodel = 'none'\n"
    for name, place, more in tasks:
        text += f"[[tasks]]\nname = '{name}'\ntiles = '{place}'\nmpp = 2.0\n{more}\n"
    path = folder / "tasks.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random student."""
    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    save_encoder(CASES["vit-cls"].student(), folder, licence="BSD-3-Clause", origin={})
    return folder
