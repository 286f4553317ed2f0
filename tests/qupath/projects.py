"""Projects as QuPath 0.7 writes them, around slides that lie somewhere."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_xmag.slide.open import open_slide

BIO_FORMATS = "qupath.lib.images.servers.bioformats.BioFormatsServerBuilder"
OPENSLIDE = "qupath.lib.images.servers.openslide.OpenslideServerBuilder"


def server(slide: Path, *args: str, size: tuple[int, int] | None = None, **facts: Any) -> Any:
    """Return a ``serverBuilder``; its size is that of the slide's bounds when None."""
    if size is None:
        with open_slide(slide) as opened:
            size = int(opened.bounds.width), int(opened.bounds.height)
    length = {"value": facts.pop("mpp", 0.5), "unit": "\u00b5m"}
    return {
        "builderType": "uri",
        "providerClassName": OPENSLIDE,
        "uri": slide.absolute().as_uri(),
        "args": list(args),
        "metadata": {
            "name": slide.name,
            "width": size[0],
            "height": size[1],
            "isRGB": True,
            "pixelCalibration": {
                "pixelWidth": length,
                "pixelHeight": length,
                "zSpacing": {"value": 1.0, "unit": "z-slice"},
            },
        },
    }


def entry(number: int, builder: Any, **facts: Any) -> dict[str, Any]:
    """Return one image of a project."""
    return {
        "serverBuilder": builder,
        "entryID": number,
        "randomizedName": "19bede80-4e68-465e-9ad2-b43eadaf3c9c",
        "imageName": f"image {number}",
        "metadata": {},
        **facts,
    }


def unusable_images(slide: Path, folder: Path) -> list[Any]:
    """Return images that nobody can read as QuPath shows them, numbered from 11."""
    (folder / "broken.svs").write_bytes(b"II*\0 not a slide")
    builders = [
        {"builderType": "rotated", "rotation": "ROTATE_90", "builder": server(slide)},
        {"builderType": "uri", "uri": "file:/nowhere/b.svs", "args": []},
        {"builderType": "uri", "uri": (folder / "broken.svs").as_uri(), "args": []},
        {"builderType": "uri", "uri": "https://server/c.svs", "args": []},
        {"builderType": "uri", "uri": (folder / ("long" * 100)).as_uri(), "args": []},
        {"builderType": "uri", "uri": server(slide)["uri"], "args": ["--series", "x"]},
        server(slide, size=(9, 9)),
        None,
    ]
    return [
        entry(number, builder, metadata={"label": "A", "patient": f"{number}"})
        for number, builder in enumerate(builders, 11)
    ]


def write_project(path: Path, *entries: Mapping[str, Any] | None, uri: str = "") -> Path:
    """Write ``project.qpproj``; ``uri`` is where it lay when it was saved."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "version": "0.7.0",
        "createTimestamp": 1795637798376,
        "modifyTimestamp": 1795637798376,
        "uri": uri or path.absolute().as_uri(),
        "lastID": len(entries),
        "images": list(entries),
    }
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return path


def write_sections(path: Path, *sizes: tuple[int, int]) -> Path:
    """Write an OME-TIFF with one picture a size (width, height)."""
    with tifffile.TiffWriter(path, ome=True) as writer:
        for number, (width, height) in enumerate(sizes):
            pixels = np.full((height, width, 3), 200 + number, np.uint8)
            metadata = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
            writer.write(pixels, photometric="rgb", tile=(256, 256), metadata=metadata)
    return path
