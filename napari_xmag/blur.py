"""Pictures out of focus, on tensors of any device."""

import math

from torch import Tensor


def blurred(images: Tensor, sigma: float) -> Tensor:
    """Return pictures as a scanner out of focus would have taken them.

    Parameters
    ----------
    images
        Float (B, 3, H, W).
    sigma
        Standard deviation of the Gaussian in pixels, above 0.

    Returns
    -------
    Float (B, 3, H, W).
    """
    from torchvision.transforms.functional import gaussian_blur  # type: ignore[import-untyped]

    side = 2 * math.ceil(3 * sigma) + 1
    result: Tensor = gaussian_blur(images, [side, side], [sigma, sigma])
    return result
