"""Tiles of two colours that any network tells apart, and small networks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_xmag.nets.encoder import save_encoder
from tests.nets.students import CASES


@pytest.fixture(scope="session")
def colored_tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of classes: 24 pink and 24 purple tiles of 40×48 px, of six patients each."""
    folder = tmp_path_factory.mktemp("colored")
    draw = np.random.default_rng(0)
    for label, color in (("pink", (225, 160, 190)), ("purple", (120, 80, 160))):
        (folder / label).mkdir()
        for number in range(24):
            pixels = draw.normal(color, 12, (40, 48, 3)).clip(0, 255).astype(np.uint8)
            name = f"{label[:2]}{number % 6}_{number}.png"
            Image.fromarray(pixels).save(folder / label / name)
    return folder


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random student: 64-px tiles at 2 µm/px."""
    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    save_encoder(CASES["vit-cls"].student(), folder, licence="BSD-3-Clause", origin={})
    return folder


@pytest.fixture(scope="session")
def tiny_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random convolutional student: 128-px tiles at 2 µm/px."""
    folder = tmp_path_factory.mktemp("encoder") / "network"
    save_encoder(CASES["mobilenet"].student(), folder, licence="BSD-3-Clause", origin={})
    return folder
