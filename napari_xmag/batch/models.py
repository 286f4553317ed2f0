"""The model of a run, opened once in each process."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.errors import ModelError

if TYPE_CHECKING:
    from napari_xmag.nets.folders.stored import StoredModel


def opened_model(folder: Path, sha256: str) -> "StoredModel":
    """Return a model, opened once in each process.

    Raises
    ------
    ModelError
        When the folder holds another model than the run began with.
    """
    model = _opened(folder, sha256)
    if model.info.sha256 != sha256:
        raise ModelError(
            expected=f"the model with which the run began in {folder}",
            found="another one",
            hint="Start again.",
        )
    return model


@lru_cache(maxsize=1)
def _opened(folder: Path, _sha256: str) -> "StoredModel":
    """Open a model; another hash than last time opens it anew."""
    from napari_xmag.nets.folders.stored import StoredModel

    return StoredModel.open(folder)
