"""Lets tests import the recipes of the documents, and makes small tasks for them."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_xmag.nets.encoder import save_encoder
from tests.nets.students import CASES

sys.path.append(str(Path(__file__).resolve().parents[2] / "docs" / "recipes"))

COLORS = {"pink": (225, 160, 190), "purple": (120, 80, 160)}


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three tasks of two sources, of pictures in two colours, and one test picture a class."""
    folder = tmp_path_factory.mktemp("sources")
    draw = np.random.default_rng(0)
    for source in ("one", "two", "test"):
        for label, color in COLORS.items():
            (folder / source / label).mkdir(parents=True)
            for number in range(20):
                pixels = draw.normal(color, 12, (64, 64, 3)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / source / label / f"{number}.png")
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
