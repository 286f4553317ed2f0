"""Tiles of two colours that any network tells apart, and small networks."""

from pathlib import Path

import numpy as np
import pytest

from napari_xmag.nets.encoder import save_encoder
from tests.nets.students import CASES
from tests.pictures import write_colored


@pytest.fixture(scope="session")
def colored_tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of classes: 24 pink and 24 purple tiles of 40×48 px, of six patients each."""
    folder = tmp_path_factory.mktemp("colored")
    draw = np.random.default_rng(0)
    write_colored(folder, (40, 48), 24, lambda label, n: f"{label[:2]}{n % 6}_{n}.png", draw)
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
