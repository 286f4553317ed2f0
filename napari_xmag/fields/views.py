"""Views of one field: the same flips and the same change of colour at every scale."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from napari_xmag.blur import blurred
from napari_xmag.fields.view_config import ViewConfig
from napari_xmag.stain import change_stains, draw_stain_changes

# Factors, and for the hue a turn.
_UNCHANGED = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}


@dataclass(frozen=True, slots=True)
class ScannerShift:
    """How another laboratory and scanner would have shown a field: stains and focus.

    Attributes
    ----------
    stains
        Factors and offsets of haematoxylin, eosin and residual, see `napari_xmag.stain`.
    blur
        Standard deviation of the blur in pixels; 0 for none.
    """

    stains: tuple[tuple[float, float, float], tuple[float, float, float]]
    blur: float

    @classmethod
    def drawn(cls, config: ViewConfig, draw: np.random.Generator) -> "ScannerShift":
        """Draw one."""
        generator = torch.Generator().manual_seed(int(draw.integers(2**31)))
        factors, offsets = draw_stain_changes(1, config.stain, generator)
        a, b = tuple(factors[0].tolist()), tuple(offsets[0].tolist())
        return cls((a, b), float(draw.uniform(0, config.blur)))

    def pixels(self, image: Tensor) -> Tensor:
        """Return uint8 pixels (3, H, W) as they would have been there."""
        factors, offsets = (torch.tensor([values], device=image.device) for values in self.stains)
        changed = change_stains(image[None].float() / 255, factors, offsets)
        if self.blur:
            changed = blurred(changed, self.blur)
        return (changed[0] * 255).round().to(torch.uint8)


@dataclass(frozen=True, slots=True)
class FieldView:
    """How a view differs from its field.

    Attributes
    ----------
    horizontal, vertical
        Whether it is mirrored.
    colors
        Changes of brightness, contrast, saturation (factors) and hue (turns), in their order.
    scanner_shift
        What befalls the student's view alone.
    """

    horizontal: bool = False
    vertical: bool = False
    colors: tuple[tuple[str, float], ...] = ()
    scanner_shift: ScannerShift | None = None

    @classmethod
    def drawn(cls, config: ViewConfig, *seed: int) -> "FieldView":
        """Draw a view; the same for the same settings and seed."""
        draw = np.random.default_rng(seed)
        horizontal, vertical = (bool(value < config.flips) for value in draw.random(2))
        colors = _drawn_colors(config, draw)
        away = config.scanner_shift and draw.random() < config.scanner_shift
        return cls(horizontal, vertical, colors, ScannerShift.drawn(config, draw) if away else None)

    def pixels(self, image: Tensor) -> Tensor:
        """Return the view of uint8 pixels (3, H, W) at any scale."""
        from torchvision.transforms import functional  # type: ignore[import-untyped]

        image = self._mirrored(image, -2, -1)
        for name, change in self.colors:
            image = getattr(functional, f"adjust_{name}")(image, change)
        return image

    def student(self, image: Tensor) -> Tensor:
        """Return what the student sees of the view, of uint8 pixels (3, H, W) at its scale."""
        image = self.pixels(image)
        return self.scanner_shift.pixels(image) if self.scanner_shift else image

    def grid(self, grid: Tensor) -> Tensor:
        """Return features (rows, columns, D) of a field's tiles as the mirrored field has them.

        Each cell keeps its own tile. The tiles themselves were seen as they are in the field.
        """
        return self._mirrored(grid, 0, 1)

    def _mirrored(self, values: Tensor, rows: int, columns: int) -> Tensor:
        sides = [columns] * self.horizontal + [rows] * self.vertical
        return values.flip(sides) if sides else values


def _drawn_colors(config: ViewConfig, draw: np.random.Generator) -> tuple[tuple[str, float], ...]:
    if draw.random() >= config.color_probability or config.color == 0:
        return ()
    changes = draw.uniform(-config.color, config.color, len(_UNCHANGED))
    colors = [
        (name, still + float(change))
        for (name, still), change in zip(_UNCHANGED.items(), changes, strict=True)
    ]
    return tuple(colors[i] for i in draw.permutation(len(colors)))
