"""What decides the features of a slide's patches: the same key, the same features."""

import hashlib
from dataclasses import asdict, dataclass

from napari_xmag._about import __version__
from napari_xmag.nets.info import Granularity
from napari_xmag.slide.bag import Bag
from napari_xmag.slide.base import Slide
from napari_xmag.slide.fingerprint import slide_fingerprint


@dataclass(frozen=True, slots=True)
class FeatureKey:
    """A slide, an encoder, and how tiles are laid over the slide; whatever tissue is chosen.

    Attributes
    ----------
    slide
        Fingerprint of the file.
    image
        Number of the picture in it, from 1.
    encoder
        Fingerprint of the network and of how it is read out.
    granularity
        What one row of features describes: a tile, or a cell of one.
    mpp
        µm per pixel of the tiles.
    tile_px
        Side of a tile at that mpp.
    stride_x, stride_y
        Step of the grid of patches, in level-0 pixels.
    origin_x, origin_y
        Corner of that grid, in level-0 pixels.
    """

    slide: str
    image: int
    encoder: str
    granularity: Granularity
    mpp: float
    tile_px: int
    stride_x: float
    stride_y: float
    origin_x: float
    origin_y: float

    @classmethod
    def of(cls, slide: Slide, encoder: str, granularity: Granularity, bag: Bag) -> "FeatureKey":
        """Return the key of a slide's bag.

        Parameters
        ----------
        encoder
            Fingerprint of the network.

        Raises
        ------
        OSError
            When the slide's file cannot be read.
        """
        patches = bag.patches
        return cls(
            slide_fingerprint(slide.path, slide.image.index),
            slide.image.index,
            encoder,
            granularity,
            bag.tiles.mpp,
            bag.tiles.tile_px,
            float(patches.stride_x),
            float(patches.stride_y),
            float(patches.origin_x),
            float(patches.origin_y),
        )

    @property
    def name(self) -> str:
        """A hash; another version of the program may read or encode tiles in another way."""
        stated = repr((__version__, sorted(asdict(self).items())))
        return hashlib.sha256(stated.encode()).hexdigest()[:32]
