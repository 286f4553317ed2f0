"""Where published weights come from: a folder or the hub, safetensors only."""

import logging
from pathlib import Path
from typing import Any

from napari_xmag.errors import ModelError
from napari_xmag.filenames import CONFIG, WEIGHTS

_log = logging.getLogger(__name__)


CONVERT = (
    "Pickled weights (.bin, .pt, .pth) can run code when opened and are never read: convert them "
    "once to model.safetensors as docs/teachers.md shows."
)


def require_safetensors(folder: Path, *, config: bool = True) -> None:
    """Refuse a folder without weights that are safe to read.

    Raises
    ------
    ModelError
        When ``model.safetensors`` or, where it is wanted, ``config.json`` is missing.
    """
    wanted = [CONFIG, WEIGHTS] if config else [WEIGHTS]
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            expected=f"{' and '.join(wanted)} in {folder}",
            found=f"no {' and no '.join(missing)}" if folder.is_dir() else "no such folder",
            hint=f"Name a folder in timm's format. {CONVERT}",
        )


def hub_folder(place: str, *, config: bool = True) -> Path:
    """Download config and safetensors weights; the hub's cache serves when it has them.

    Parameters
    ----------
    place
        ``OWNER/NAME``, with ``@REVISION`` where wanted.
    config
        Whether a missing ``config.json`` is an error.

    Raises
    ------
    ModelError
        When there are none, or they cannot be fetched.
    """
    from huggingface_hub import snapshot_download

    repository, _, revision = place.partition("@")
    _log.info("Fetching %s from the Hugging Face hub", place)
    try:
        found = snapshot_download(
            repository, revision=revision or None, allow_patterns=[CONFIG, WEIGHTS]
        )
    except (OSError, ValueError) as error:
        raise ModelError(
            expected=f"the weights of {place} from the Hugging Face hub",
            found=f"{type(error).__name__}: {error}",
            hint="Check the name and your connection. For a gated network accept its terms on "
            "its page and log in (hf auth login).",
            causes=[error],
        ) from error
    require_safetensors(Path(found), config=config)
    return Path(found)


def timm_weights(name: str) -> dict[str, Any]:
    """Return what makes timm load a published network from safetensors, never from a pickle.

    Raises
    ------
    ModelError
        When timm knows no published weights of that name.
    """
    import timm
    from huggingface_hub import hf_hub_download

    config = timm.get_pretrained_cfg(name)
    if config is None or not config.hf_hub_id:
        raise ModelError(
            expected=f"published safetensors weights of {name}",
            found="none",
            hint="Choose another timm name, or give local-dir:<folder>.",
        )
    weights = hf_hub_download(config.hf_hub_id, WEIGHTS)
    return {"file": weights, "custom_load": False}
