"""What decides the features of a slide's patches: the same key, the same features."""

import hashlib
from dataclasses import asdict, dataclass

from napari_xmag._about import __version__
from napari_xmag.nets.info import Granularity
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.fingerprint import slide_fingerprint
from napari_xmag.slide.tiles import grid_corner


@dataclass(frozen=True, slots=True)
class FeatureKey:
    """A slide, an encoder, and how tiles are laid over the slide.

    Of whatever tissue is chosen, the features of a patch are the same: a store that is there to
    save time keeps those of the last choice. One that keeps all of them names the choice.

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
    aside
        Whether the grid lies half a patch aside of the slide's own one.
    tissue
        By what rule the patches were chosen; empty where those of the last choice are kept.
    regions
        Mark of the regions that they were chosen within; empty for the whole slide.
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
    aside: bool = False
    tissue: str = ""
    regions: str = ""

    @classmethod
    def of(
        cls,
        slide: Slide,
        encoder: str,
        granularity: Granularity,
        mpp: float,
        tile_px: int,
        cells: int,
        *,
        aside: bool = False,
    ) -> "FeatureKey":
        """Return the key of a slide's bag, on the grid of `napari_xmag.slide.bag.plan_bag`.

        Parameters
        ----------
        encoder
            Fingerprint of the network.
        mpp, tile_px, cells, aside
            As for `plan_bag`.

        Raises
        ------
        MppMissingError
            When the slide has no mpp.
        OSError
            When the slide's file cannot be read.
        """
        own, side = require_mpp(slide), tile_px // cells
        stride_x, stride_y = side * mpp / own.x, side * mpp / own.y
        corner = grid_corner(slide.bounds, stride_x, stride_y, aside=aside)
        return cls(
            slide_fingerprint(slide.path, slide.image.index),
            slide.image.index,
            encoder,
            granularity,
            float(mpp),
            int(tile_px),
            float(stride_x),
            float(stride_y),
            float(corner[0]),
            float(corner[1]),
            aside,
        )

    @property
    def name(self) -> str:
        """A hash; another version of the program may read or encode tiles in another way."""
        facts = {name: fact for name, fact in asdict(self).items() if fact != ""}
        del facts["aside"]  # the origin says it
        stated = repr((__version__, sorted(facts.items())))
        return hashlib.sha256(stated.encode()).hexdigest()[:32]
