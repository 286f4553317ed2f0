"""Views of one field: the same flips and the same change of colour at every scale."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from napari_xmag.distill.config import AugmentConfig

# Factors, and for the hue a turn.
_UNCHANGED = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}


@dataclass(frozen=True, slots=True)
class View:
    """How a view differs from its field.

    Attributes
    ----------
    horizontal, vertical
        Whether it is mirrored.
    colors
        Changes of brightness, contrast, saturation (factors) and hue (turns), in their order.
    """

    horizontal: bool = False
    vertical: bool = False
    colors: tuple[tuple[str, float], ...] = ()

    @classmethod
    def drawn(cls, config: AugmentConfig, *seed: int) -> "View":
        """Draw a view; the same for the same settings and seed."""
        draw = np.random.default_rng(seed)
        horizontal, vertical = (bool(value < config.flips) for value in draw.random(2))
        if draw.random() >= config.color_probability or config.color == 0:
            return cls(horizontal, vertical)
        changes = draw.uniform(-config.color, config.color, len(_UNCHANGED))
        colors = [
            (name, still + float(change))
            for (name, still), change in zip(_UNCHANGED.items(), changes, strict=True)
        ]
        return cls(horizontal, vertical, tuple(colors[i] for i in draw.permutation(len(colors))))

    def pixels(self, image: Tensor) -> Tensor:
        """Return the view of uint8 pixels (3, H, W) at any scale."""
        from torchvision.transforms import functional  # type: ignore[import-untyped]

        image = self._mirrored(image, -2, -1)
        for name, change in self.colors:
            image = getattr(functional, f"adjust_{name}")(image, change)
        return image

    def grid(self, grid: Tensor) -> Tensor:
        """Return features (rows, columns, D) of a field's tiles as the mirrored field has them.

        Each cell keeps its own tile. The tiles themselves were seen as they are in the field.
        """
        return self._mirrored(grid, 0, 1)

    def _mirrored(self, values: Tensor, rows: int, columns: int) -> Tensor:
        sides = [columns] * self.horizontal + [rows] * self.vertical
        return values.flip(sides) if sides else values
