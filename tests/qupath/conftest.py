"""What QuPath itself wrote, where it is at hand."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def qupath_files() -> Path:
    """Folder of files that QuPath 0.2 to 0.7 wrote, from ``qupath`` beside the real data."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("XMAG_DATA", beside)).parent / "qupath"
    if not folder.is_dir():
        pytest.skip(f"no files of QuPath: {folder} does not exist; XMAG_DATA may name another")
    return folder
