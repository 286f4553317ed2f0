"""Other laboratories and scanners, simulated: stain, focus, compression, light."""

import io
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_xmag.evaluate.config import ShiftsConfig

Pixels = NDArray[np.uint8]
Kind = Literal["stain", "blur", "jpeg", "brightness", "contrast"]
_UNITS = {"stain": "", "blur": " µm", "jpeg": "", "brightness": "", "contrast": ""}


@dataclass(frozen=True, slots=True)
class Shift:
    """One change of a picture, the same each time for the same picture.

    Attributes
    ----------
    kind
        ``stain``: each of haematoxylin, eosin and residual times 1 ± strength, plus ± strength in
        natural optical density (HED jitter, Tellez et al. 2019, arXiv 1902.06543). ``blur``: a
        Gaussian of that standard deviation in µm. ``jpeg``: stored with that quality.
        ``brightness``, ``contrast``: times 1 + strength or 1 − strength, contrast about the
        picture's mean.
    seed
        Of what is drawn; each picture draws for itself, from its content.
    """

    kind: Kind
    strength: float
    seed: int = 0

    @property
    def name(self) -> str:
        """Kind and strength, as a table has them."""
        return f"{self.kind} {self.strength:g}{_UNITS[self.kind]}"

    def __call__(self, pixels: Pixels, mpp: float) -> Pixels:
        """Change a picture, uint8 (H, W, 3) of ``mpp`` µm per pixel."""
        if self.kind == "blur":
            return _blurred(pixels, self.strength / mpp)
        if self.kind == "jpeg":
            return _compressed(pixels, round(self.strength))
        seed = zlib.crc32(pixels.tobytes(), self.seed)
        if self.kind == "stain":
            return _stained(pixels, self.strength, seed)
        sign = np.random.default_rng(seed).choice([-1, 1])
        middle = float(pixels.mean()) if self.kind == "contrast" else 0.0
        return _whole((pixels - middle) * (1 + sign * self.strength) + middle)


def shifts(settings: ShiftsConfig, seed: int) -> list[Shift]:
    """Return the shifts that are asked for, kind by kind."""
    strengths: dict[Kind, tuple[float, ...]] = {
        "stain": settings.stain,
        "blur": settings.blur,
        "jpeg": tuple(map(float, settings.jpeg)),
        "brightness": settings.brightness,
        "contrast": settings.contrast,
    }
    return [Shift(kind, value, seed) for kind, values in strengths.items() for value in values]


def _stained(pixels: Pixels, strength: float, seed: int) -> Pixels:
    import torch

    from napari_xmag.stain import change_stains, draw_stain_changes

    rgb = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
    factors, offsets = draw_stain_changes(1, strength, torch.Generator().manual_seed(seed))
    changed = change_stains(rgb, factors, offsets)[0].permute(1, 2, 0).numpy()
    return _whole(changed * 255)


def _blurred(pixels: Pixels, deviation: float) -> Pixels:
    from scipy.ndimage import gaussian_filter

    return _whole(gaussian_filter(pixels.astype(np.float32), (deviation, deviation, 0)))


def _compressed(pixels: Pixels, quality: int) -> Pixels:
    from PIL import Image

    stored = io.BytesIO()
    Image.fromarray(pixels).save(stored, "JPEG", quality=quality)
    return np.asarray(Image.open(stored))


def _whole(values: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)
