"""What the tests of training share."""

from pathlib import Path

import pytest

from napari_xmag.nets.encoder import Encoder
from tests.train.cohorts import tiny_encoder, write_slides


@pytest.fixture(scope="session")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Table of ten small slides; made once for all tests."""
    return write_slides(tmp_path_factory.mktemp("cohort"))


@pytest.fixture
def encoder(tmp_path: Path) -> Encoder:
    """An encoder with random weights."""
    return tiny_encoder(tmp_path / "encoder")
