"""Stains of H&E apart and together again (Ruifrok & Johnston 2001), on tensors of any device."""

import torch
from torch import Tensor

HED = (
    (0.65, 0.70, 0.29),
    (0.07, 0.99, 0.11),
    (0.27, 0.57, 0.78),
)
"""Optical density of haematoxylin, eosin and DAB in red, green, blue (Ruifrok & Johnston 2001)."""

# Black has no density; one step of 8 bits above it has.
_DARKEST = 1 / 255


def rgb_to_hed(rgb: Tensor) -> Tensor:
    """Return how much of each stain a picture holds, by colour deconvolution.

    Parameters
    ----------
    rgb
        Float (..., 3, H, W), 0 (black) to 1 (white); what is darker than 1/255 counts as that.

    Returns
    -------
    Float (..., 3, H, W): haematoxylin, eosin and DAB, in units of natural optical density. White is
    0; colours that no mixture of the three gives have a negative part, which is kept, so that
    `hed_to_rgb` gives the picture back.
    """
    density = -torch.log(rgb.float().clamp_min(_DARKEST))
    return _mixed(density, torch.linalg.inv(torch.tensor(HED, dtype=torch.float64)))


def hed_to_rgb(hed: Tensor) -> Tensor:
    """Return the picture, float (..., 3, H, W) in 0…1, of stains as `rgb_to_hed` gives them."""
    return torch.exp(-_mixed(hed.float(), torch.tensor(HED, dtype=torch.float64))).clamp(0, 1)


def change_stains(rgb: Tensor, factors: Tensor, offsets: Tensor) -> Tensor:
    """Make each stain stronger or weaker, as other laboratories and days would have it.

    Parameters
    ----------
    rgb
        Float (B, 3, H, W), 0 to 1.
    factors, offsets
        Float (B, 3) for each picture and stain: ``stain · factor + offset``.

    Returns
    -------
    Float (B, 3, H, W), 0 to 1.
    """
    hed = rgb_to_hed(rgb)
    return hed_to_rgb(hed * factors[..., None, None] + offsets[..., None, None])


def draw_stain_changes(
    number: int, strength: float, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Draw factors from 1 ± strength and offsets from ± strength, evenly; float (number, 3) each.

    The HED jitter of Tellez et al. 2019 (arXiv 1902.06543), who call 0.05 light and 0.2 strong.
    """
    factors = 1 + strength * (2 * torch.rand(number, 3, generator=generator) - 1)
    offsets = strength * (2 * torch.rand(number, 3, generator=generator) - 1)
    return factors, offsets


def _mixed(channels: Tensor, matrix: Tensor) -> Tensor:
    """Multiply each pixel's row of three channels with a 3×3 matrix."""
    matrix = matrix.to(channels)
    # Half precision would show as bands of colour.
    with torch.autocast(channels.device.type, enabled=False):
        return torch.einsum("...chw,cs->...shw", channels, matrix)
