"""The model zoo: finds, checks, loads, saves and fetches slide models. Needs no torch to list."""

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_xmag.errors import ModelError
from napari_xmag.folders import data_folder
from napari_xmag.nets.folders import folder as _folder
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.nets.info import ModelInfo

if TYPE_CHECKING:
    import torch

    from napari_xmag.nets.model import SlideModel

_log = logging.getLogger(__name__)

DEFAULT_MODEL = "xmag-mobilenet-glas-demo"
"""Name of the bundled model that is taken when none is named."""

_HUB = "hf-hub:"


@dataclass(frozen=True)
class ModelEntry:
    """A model folder that the zoo found.

    Parameters
    ----------
    name
        Its name, that of the folder where the model cannot be read.
    folder
        Where it lies.
    info
        What it is, or None where it cannot be read.
    problem
        Why it cannot be used; empty when it can.
    """

    name: str
    folder: Path
    info: ModelInfo | None
    problem: str = ""


def bundled_folder() -> Path:
    """Return the folder of the models that come with napari-xmag.

    In a wheel it lies in the package, in a checkout beside it.
    """
    package = Path(__file__).parent
    inside = package / "models"
    return inside if inside.is_dir() else package.parent / "models"


def user_folder() -> Path:
    """Return the folder of the user's own models."""
    return data_folder() / "models"


def list_models(*, verify: bool = True) -> list[ModelEntry]:
    """Return all models, the default first, then by name; broken ones say why.

    Parameters
    ----------
    verify
        Whether the SHA-256 of every file is checked.
    """
    entries = {}
    # The user's own come first in the loop, so that a bundled model keeps its name.
    for parent in (user_folder(), bundled_folder()):
        for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
            if folder.is_dir() and not folder.name.startswith((".", "_")):
                entry = _entry(folder, verify=verify)
                entries[entry.name] = entry
    return sorted(entries.values(), key=lambda entry: (entry.name != DEFAULT_MODEL, entry.name))


def check_model(folder: Path | str) -> ModelInfo:
    """Check that a folder holds a complete, unaltered slide model, by loading it.

    Raises
    ------
    ModelError
        With the reason why it does not.
    """
    from napari_xmag.nets.folders.build import load_folder

    return load_folder(Path(folder)).info


def find_model(name_or_folder: str | Path | None = None) -> Path:
    """Return the folder of a model.

    Parameters
    ----------
    name_or_folder
        A name that `list_models` knows, or a folder; None for the default.

    Raises
    ------
    ModelError
        When there is no such model; the known ones are named.
    """
    wanted = DEFAULT_MODEL if name_or_folder is None else name_or_folder
    known = {entry.name: entry.folder for entry in list_models(verify=False)}
    if isinstance(wanted, str) and wanted in known:
        return known[wanted]
    if Path(wanted).is_dir():
        return Path(wanted)
    raise ModelError(
        expected=f"the model {str(wanted)!r}",
        found="no model or folder of that name; known models: " + (", ".join(known) or "none"),
        hint="Choose one of these, or add yours with: napari-xmag models add FOLDER",
    )


def load_model(
    name_or_folder: str | Path | None = None, device: "str | torch.device" = "cpu"
) -> "SlideModel":
    """Load a slide model, checked and ready to use (eval mode).

    Parameters
    ----------
    name_or_folder
        A name that `list_models` knows, or a folder; None for the default.
    device
        Where to put it.

    Raises
    ------
    ModelError
        When it is unknown, missing, altered or unsafe.
    """
    from napari_xmag.nets.folders.build import load_folder

    return load_folder(find_model(name_or_folder)).to(device).eval()


def open_model(name_or_folder: str | Path | None = None) -> StoredModel:
    """Open a slide model, checked; its networks are loaded when they are needed.

    Parameters
    ----------
    name_or_folder
        A name that `list_models` knows, or a folder; None for the default.

    Raises
    ------
    ModelError
        When it is unknown, missing, altered or unsafe.
    """
    return StoredModel.open(find_model(name_or_folder))


def save_model(
    model: "SlideModel",
    folder: Path | str,
    *,
    card: Mapping[str, str] | None = None,
    replace: bool = False,
) -> ModelInfo:
    """Save a slide model as a folder, all of it or nothing.

    Parameters
    ----------
    model
        The model; its ``info.name`` is stored, ``info.sha256`` is made here.
    folder
        Where it shall lie; usually named as the model.
    card
        Sections of the model card, heading to Markdown text, after the facts that are filled in.
    replace
        Whether a folder that exists is replaced.

    Returns
    -------
    The information of the model as saved, with its SHA-256.

    Raises
    ------
    ModelError
        When the folder exists, cannot be written, or would not load again as the same model.
    """
    from napari_xmag.nets.folders.build import write_folder

    _folder.check_name(model.info.name)
    with _folder.replacing(Path(folder), replace=replace) as fresh:
        info = write_folder(model, fresh, card or {})
    _log.info("Saved the model %s to %s", info.name, folder)
    return info


def add_model(folder: Path | str, *, replace: bool = False) -> ModelEntry:
    """Copy a model folder among the user's own models, after checking it.

    Raises
    ------
    ModelError
        When it is no good, or a model of that name is there already.
    """
    info = check_model(folder)
    if (bundled_folder() / info.name).exists():
        raise ModelError(
            expected="a model with a name of its own",
            found=f"{info.name}, the name of a model that comes with napari-xmag",
            hint="Save it under another name.",
        )
    target = user_folder() / info.name
    with _folder.replacing(target, replace=replace) as fresh:
        _folder.copy_folder(Path(folder), fresh)
        # The copy is what will be used: check it, not only where it came from.
        check_model(fresh)
    return ModelEntry(info.name, target, info)


def pull_model(source: str, *, replace: bool = False) -> ModelEntry:
    """Fetch a model from the Hugging Face hub among the user's own models.

    Only safetensors, JSON and Markdown files are fetched.

    Parameters
    ----------
    source
        ``hf-hub:owner/name``, with ``@revision`` where wanted.
    replace
        Whether a model of that name is replaced.

    Raises
    ------
    ModelError
        When it cannot be fetched or is no good.
    """
    repository, _, revision = source.removeprefix(_HUB).partition("@")
    if not source.startswith(_HUB) or repository.count("/") != 1:
        raise ModelError(
            expected="a model on the hub as hf-hub:owner/name",
            found=source,
            hint="Write it so, or add a folder with: napari-xmag models add FOLDER",
        )
    with tempfile.TemporaryDirectory(prefix="napari-xmag-") as place:
        _download(repository, revision or None, Path(place))
        return add_model(place, replace=replace)


def _entry(folder: Path, *, verify: bool) -> ModelEntry:
    try:
        info = _folder.read_folder(folder, verify=verify).info
    except ModelError as error:
        return ModelEntry(folder.name, folder, None, f"found {error.found}. {error.hint}")
    return ModelEntry(info.name, folder, info)


def _download(repository: str, revision: str | None, place: Path) -> None:
    from huggingface_hub import snapshot_download

    try:
        snapshot_download(
            repository,
            revision=revision,
            local_dir=place,
            allow_patterns=["*.safetensors", "*.json", "*.md"],
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            expected=f"the model {repository} from the Hugging Face hub",
            found=f"{type(error).__name__}: {error}",
            hint="Check the name and your connection; gated models need your own login "
            "(hf auth login).",
            causes=[error],
        ) from error
