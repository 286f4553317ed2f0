"""A small saved model."""

from pathlib import Path

import pytest

from napari_xmag.zoo import save_model
from tests.nets.students import tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a small model of random weights: 64-px tiles at 2 µm/px."""
    folder: Path = tmp_path_factory.mktemp("model") / "tiny"
    save_model(tiny_model(), folder)
    return str(folder)
