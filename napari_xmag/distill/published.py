"""Students that others published, as student folders: DINOv2's checkpoint layout, as XMAG's own."""

from pathlib import Path

from napari_xmag.errors import ModelError
from napari_xmag.nets.checkpoint_layouts import build_vit, plain_names, read_state, shape_of
from napari_xmag.nets.encoder import save_encoder
from napari_xmag.nets.folders.folder import file_sha256
from napari_xmag.nets.student import Student, StudentSpec

_OFFSET = 0.1
"""DINOv2's published networks without registers resample positions with this offset."""


def import_student(
    checkpoint: Path,
    folder: Path,
    *,
    mpp: float = 2.0,
    tile_px: int = 224,
    licence: str = "not stated",
) -> Student:
    """Write the student of a DINOv2-layout checkpoint as a student folder.

    The published XMAG student (``AI4PATH/XMAG``) is a DINOv2 ViT-B/14 without registers that sees
    224 px at 2 µm/px (5x) with ImageNet's normalization; its feature is the class token (Su et al.
    2025, arXiv 2509.23097). Prefixes and heads of the checkpoint are dropped, and positions of
    another grid (518 px) are resampled as DINOv2 does.

    Parameters
    ----------
    checkpoint
        A safetensors file.
    folder
        Where to write it; an existing folder is refused.
    mpp, tile_px
        µm per pixel and side of its tiles.
    licence
        Of the weights, as their authors state it.

    Raises
    ------
    ModelError
        When the checkpoint is pickled or of another layout, or the folder exists.
    """
    if folder.exists():
        raise ModelError(
            expected=f"a new folder {folder}",
            found="an existing one",
            hint="Choose another folder.",
        )
    state = plain_names(read_state(checkpoint))
    network = build_vit(state, shape_of(state), tile_px, offset=_OFFSET)
    student = Student(network.eval(), StudentSpec(mpp, tile_px, embedding="cls"))
    origin = {
        "imported_from": checkpoint.name,
        "layout": "dinov2",
        "checkpoint_sha256": file_sha256(checkpoint),
    }
    save_encoder(student, folder, licence=licence, origin=origin)
    return student
