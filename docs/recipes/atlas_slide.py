#!/usr/bin/env python3
"""Rebuild slides of a Pathology Atlas case (MIT licence) from its Deep Zoom tiles.

usage: atlas_slide.py REPOSITORY OUT --case NAME [--image HE.dzi …] [--window 7]

REPOSITORY is a clone of github pathologyatlas/<case>, bare or not. Writes OUT/<case>__<image>.tiff:
the window (mm a side) that holds most tissue, at the scanner's own resolution, as a tiled pyramid
that states its pixel size, taken from the scan's own properties. An image without it is left out.
Strip after strip is written as it is read, so that a slide of gigapixels needs some hundred MB.
"""

import argparse
import io
import json
import math
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

BLOCK = 256


class Repository:
    """Files of HEAD, read without a work tree."""

    def __init__(self, folder):
        git = ["git", "-C", str(folder)]
        listing = subprocess.check_output([*git, "ls-tree", "-r", "-z", "HEAD"])
        entries = (line.partition("\t") for line in listing.decode("utf8", "replace").split("\0"))
        # By hash: to find a name git searches a folder of some ten thousand from its beginning.
        self.names = {name: head.split()[-1] for head, _, name in entries if name}
        self.commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._reader = subprocess.Popen([*git, "cat-file", "--batch"], **pipes)

    def read(self, name):
        """Return the content of a file, or None where there is none."""
        if name not in self.names:
            return None
        self._reader.stdin.write(f"{self.names[name]}\n".encode())
        self._reader.stdin.flush()
        size = int(self._reader.stdout.readline().split()[2])
        data = self._reader.stdout.read(size)
        self._reader.stdout.read(1)
        return data


class DeepZoom:
    """One image: level ``top`` has full resolution, each level below half its size."""

    def __init__(self, repository, name):
        self.repository, self.folder = repository, name[:-4] + "_files"
        root = ElementTree.fromstring(repository.read(name))
        size = root.find("{*}Size")
        self.width, self.height = int(size.get("Width")), int(size.get("Height"))
        self.tile, self.overlap = int(root.get("TileSize")), int(root.get("Overlap"))
        self.suffix = root.get("Format")
        self.top = math.ceil(math.log2(max(self.width, self.height)))
        said = (repository.read(self.folder + "/vips-properties.xml") or b"").decode("utf8")
        pairs = dict(re.findall(r"<name>([^<]+)</name>\s*<value[^>]*>([^<]*)</value>", said))
        mpp = pairs.get("openslide.mpp-x", "").replace(",", ".")
        self.mpp = float(mpp) if mpp else None

    def region(self, steps, x, y, width, height):
        """Read a box of the level ``steps`` below the top, in its own pixels."""
        out = Image.new("RGB", (width, height), "white")
        level = self.top - steps
        for row in range(y // self.tile, (y + height - 1) // self.tile + 1):
            for column in range(x // self.tile, (x + width - 1) // self.tile + 1):
                name = f"{self.folder}/{level}/{column}_{row}.{self.suffix}"
                data = self.repository.read(name)
                if data is None:
                    continue
                tile = Image.open(io.BytesIO(data)).convert("RGB")
                left, top = self.overlap * (column > 0), self.overlap * (row > 0)
                right, bottom = left + self.tile, top + self.tile
                tile = tile.crop((left, top, min(tile.width, right), min(tile.height, bottom)))
                out.paste(tile, (column * self.tile - x, row * self.tile - y))
        return np.asarray(out)


def densest_window(slide, millimetres):
    """Return x, y, width, height in level-0 pixels of the window with most tissue."""
    steps = max(0, math.floor(math.log2(16 / slide.mpp)))
    factor = 2**steps
    width, height = -(-slide.width // factor), -(-slide.height // factor)
    hsv = np.asarray(Image.fromarray(slide.region(steps, 0, 0, width, height)).convert("HSV"))
    tissue = (hsv[..., 1] > 12) & (hsv[..., 2] < 250) & (hsv[..., 2] > 30)
    side = round(1000 * millimetres / (slide.mpp * factor))
    w, h = min(side, width), min(side, height)
    sums = np.pad(tissue.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    found = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    y, x = np.unravel_index(found.argmax(), found.shape)
    # On a grid of 4096 px, so that every level begins at a whole pixel.
    x, y = int(x) * factor // 4096 * 4096, int(y) * factor // 4096 * 4096
    return x, y, min(w * factor, slide.width - x), min(h * factor, slide.height - y)


def blocks(slide, steps, x, y, width, height):
    """Yield tiles of 256 px in reading order, white beyond the edges."""
    for top in range(0, height, BLOCK):
        strip = np.full((BLOCK, -(-width // BLOCK) * BLOCK, 3), 255, np.uint8)
        rows = min(BLOCK, height - top)
        for left in range(0, width, 4096):
            columns = min(4096, width - left)
            part = slide.region(steps, x + left, y + top, columns, rows)
            strip[:rows, left : left + columns] = part
        for left in range(0, strip.shape[1], BLOCK):
            yield np.ascontiguousarray(strip[:, left : left + BLOCK])


def write(slide, path, box):
    """Write levels 1, 4 and 16 under a temporary name, then rename."""
    partial = path.with_suffix(".part")
    with tifffile.TiffWriter(partial, bigtiff=box[2] * box[3] > 1 << 30) as writer:
        for steps in (0, 2, 4):
            x, y = box[0] >> steps, box[1] >> steps
            width, height = -(-box[2] // 2**steps), -(-box[3] // 2**steps)
            writer.write(
                blocks(slide, steps, x, y, width, height),
                shape=(height, width, 3),
                dtype="uint8",
                tile=(BLOCK, BLOCK),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 85},
                resolution=(1e4 / (slide.mpp * 2**steps),) * 2,
                resolutionunit="CENTIMETER",
                subfiletype=int(steps > 0),
                metadata=None,
            )
    partial.rename(path)


def main():
    """Rebuild the images of one case; print a JSON line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("repository", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--case", required=True, help="name of the case, for the file names")
    parser.add_argument("--image", nargs="*", help="default: every .dzi that begins with HE")
    parser.add_argument("--window", type=float, default=7, help="side of the window in mm")
    parser.add_argument("--box", type=int, nargs=4, help="x y width height instead, in pixels")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    repository = Repository(args.repository)
    found = (n for n in repository.names if n.endswith(".dzi") and Path(n).name.startswith("HE"))
    for name in args.image or sorted(found):
        slide = DeepZoom(repository, name)
        about = {"image": name, "commit": repository.commit, "mpp": slide.mpp}
        if slide.mpp:
            about["window"] = box = args.box or densest_window(slide, args.window)
            write(slide, args.out / f"{args.case}__{Path(name).stem}.tiff", box)
        print(json.dumps(about), flush=True)


if __name__ == "__main__":
    main()
