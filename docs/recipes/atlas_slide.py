#!/usr/bin/env python3
"""Rebuild slides of a Pathology Atlas case (MIT licence) from its Deep Zoom tiles.

usage: atlas_slide.py REPOSITORY OUT --case NAME [--image HE.dzi …] [--window 7]
       [--like EDITION.tiff] [--assume-mpp 0.26]

REPOSITORY is a clone of github pathologyatlas/<case>, bare or not. Writes OUT/<case>__<image>.tiff:
the window (mm a side) that holds most tissue, at the scanner's own resolution, as a tiled pyramid
that states its pixel size, taken from the scan's own properties. An image without it is left out,
unless it is given. With --like the window is what a coarser edition of the image shows, found by
its looks. Strip after strip is written as it is read, so that a slide of gigapixels needs some
hundred MB.
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
from skimage.feature import match_template

BLOCK = 256
COARSE, NEAR = 16.0, 2.0  # µm/px at which a window is searched, and then placed


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

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._reader.stdin.close()
        self._reader.stdout.close()
        self._reader.wait()

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


def require_clones(folder, cases):
    """Say all at once which clones are missing, before hours of work."""
    missing = sorted({case for case in cases if not (folder / case).exists()})
    if missing:
        names = ", ".join(missing)
        raise SystemExit(
            f"{folder} lacks the clones of {len(missing)} cases: {names}. Get each by\n"
            f"git clone --bare https://github.com/pathologyatlas/{missing[0]} {folder / missing[0]}"
        )


class DeepZoom:
    """One image: level ``top`` has full resolution, each level below half its size."""

    def __init__(self, repository, name, assumed_mpp=None):
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
        self.mpp = float(mpp) if mpp else assumed_mpp

    def start_at(self, steps):
        """Take the level ``steps`` below the top for the finest one."""
        self.top -= steps
        self.width, self.height = -(-self.width >> steps), -(-self.height >> steps)
        self.mpp *= 2**steps

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


def same_window(slide, edition):
    """Return x, y, width, height in level-0 pixels of what a coarser edition shows."""
    with tifffile.TiffFile(edition) as file:
        page = file.pages[0]
        amount, per = page.tags["XResolution"].value
        picture, mpp = Image.fromarray(page.asarray()), 1e4 * per / amount
    width, height = (round(size * mpp / slide.mpp) for size in picture.size)
    x, y = placed(slide, picture, mpp, (0, 0, slide.width, slide.height), COARSE)
    margin = round(4 * COARSE / slide.mpp)
    near = (x - margin, y - margin, width + 2 * margin, height + 2 * margin)
    x, y = placed(slide, picture, mpp, within(slide, near), NEAR)
    return within(slide, (x, y, width, height))


def placed(slide, picture, mpp, box, at):
    """Return where in a box, at so many µm/px, a picture lies, in level-0 pixels."""
    steps = max(0, math.floor(math.log2(at / slide.mpp)))
    x, y, width, height = (value >> steps for value in box)
    region = Image.fromarray(slide.region(steps, x, y, width, height)).convert("L")
    scale = slide.mpp * 2**steps / at
    region = region.resize((round(width * scale), round(height * scale)), Image.Resampling.BOX)
    wanted = picture.convert("L")
    size = tuple(round(edge * mpp / at) for edge in picture.size)
    wanted = wanted.resize(size, Image.Resampling.BOX)
    # Rounding may make it a pixel larger than the region, where it cannot be searched.
    width, height = (min(pair) for pair in zip(region.size, wanted.size, strict=True))
    found = match_template(np.asarray(region), np.asarray(wanted.crop((0, 0, width, height))))
    down, right = np.unravel_index(found.argmax(), found.shape)
    if found.max() < 0.6:
        raise SystemExit(f"the edition does not show this image: correlation {found.max():.2f}")
    return box[0] + round(right * at / slide.mpp), box[1] + round(down * at / slide.mpp)


def within(slide, box):
    """Return a box as far as it lies on the slide, on a grid of 16 px for the coarsest level."""
    x, y = (max(0, value) // 16 * 16 for value in box[:2])
    return x, y, min(box[0] + box[2], slide.width) - x, min(box[1] + box[3], slide.height) - y


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


def rebuild(repository, name, args):
    """Write one image, if its pixel size is known; return what it is."""
    slide = DeepZoom(repository, name, args.assume_mpp)
    about = {"image": name, "commit": repository.commit, "mpp": slide.mpp}
    if slide.mpp:
        about["window"] = box = window(slide, args)
        write(slide, args.out / f"{args.case}__{Path(name).stem}.tiff", box)
    return about


def window(slide, args):
    """Return the window that is asked for."""
    if args.box:
        return args.box
    if args.like:
        return same_window(slide, args.like)
    return densest_window(slide, args.window)


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
    parser.add_argument("--like", type=Path, help="a coarser edition that shows the window")
    parser.add_argument("--assume-mpp", type=float, help="µm/px of scans that do not state it")
    parser.add_argument("--box", type=int, nargs=4, help="x y width height instead, in pixels")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with Repository(args.repository) as repository:
        names = (n for n in repository.names if n.endswith(".dzi"))
        found = sorted(n for n in names if Path(n).name.startswith("HE"))
        for name in args.image or found:
            print(json.dumps(rebuild(repository, name, args)), flush=True)


if __name__ == "__main__":
    main()
