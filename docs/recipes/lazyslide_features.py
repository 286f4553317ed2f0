#!/usr/bin/env python3
"""Compute the features of a slide's tiles in LazySlide, for benchmark.py to compare with.

usage: lazyslide_features.py SLIDE MODEL_FOLDER TILE_PX MPP PLACE

Needs lazyslide and timm; runs in an environment of its own. The backbone is that of the model
folder; PLACE is a folder for what is written.
"""

import json
import sys
from pathlib import Path

import lazyslide as zs
import timm
import torch


def main(slide: str, folder: str, tile_px: str, mpp: str, place: str) -> None:
    """Find tissue, cut tiles, compute features."""
    store = Path(place) / "lazyslide.zarr"
    wsi = zs.open_wsi(slide, store=str(store))
    zs.pp.find_tissues(wsi)
    zs.pp.tile_tissues(wsi, int(tile_px), mpp=float(mpp))
    backbone = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
    config = backbone.pretrained_cfg
    mean, std = (torch.tensor(config[name]).view(3, 1, 1) for name in ("mean", "std"))

    def transform(pixels: object) -> torch.Tensor:
        return (torch.as_tensor(pixels).permute(2, 0, 1) / 255 - mean) / std

    zs.tl.feature_extraction(
        wsi, backbone, model_name="same", transform=transform, device="cpu", pbar=False
    )
    print(json.dumps({"tiles": len(wsi.shapes["tiles"])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
