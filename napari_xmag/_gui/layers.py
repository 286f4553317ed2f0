"""Commands of napari that act on a slide's layer."""

from napari.layers import Layer

from napari_xmag._gui.shared.notices import tell
from napari_xmag.layer_data import METADATA_KEY, slide_image, slide_path
from napari_xmag.slide.colors.profile import srgb_transform
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.pyramid import dask_pyramid

TRUE_COLORS = "sRGB"


def toggle_true_colors(layer: Layer) -> None:
    """Show a slide in sRGB by its scanner's ICC profile, or as stored again (a napari command)."""
    path = slide_path(layer)
    if path is None:
        tell("Select the layer of a slide first.")
        return
    slide = open_slide(path, image=slide_image(layer))
    ours = layer.metadata[METADATA_KEY]
    transform = None if ours.get("colors") == TRUE_COLORS else srgb_transform(slide)
    if transform is None and "colors" not in ours:
        slide.close()
        tell(f"{path.name} has no colour profile that would change its colours.")
        return
    layer.data = dask_pyramid(slide, transform)
    if transform is None:
        del ours["colors"]
    else:
        ours["colors"] = TRUE_COLORS
