"""Sample slides for File > Open Sample > XMAG."""

from pathlib import Path

from napari_xmag._gui.reader import read_slides
from napari_xmag._gui.shared.notices import tell
from napari_xmag.errors import SlideOpenError
from napari_xmag.layer_data import LayerData
from napari_xmag.slide.sample import SAMPLE_NAME, sample_slide, samples_folder

CMU_NAME = "CMU-1-Small-Region.svs"
CMU_URL = f"https://openslide.cs.cmu.edu/download/openslide-testdata/Aperio/{CMU_NAME}"
CMU_SHA256 = "ed92d5a9f2e86df67640d6f92ce3e231419ce127131697fbbce42ad5e002c8a7"


def colon_sample() -> list[LayerData]:
    """Open the built-in sample slide; it needs no download."""
    if not (samples_folder() / SAMPLE_NAME).exists():
        tell("Creating the sample slide. This takes a few seconds, the first time only.")
    return read_slides(sample_slide())


def cmu_sample() -> list[LayerData]:
    """Open a small region of a real H&E slide (OpenSlide's test data, CC0), fetched once.

    Raises
    ------
    SlideOpenError
        When it cannot be fetched, or is not the file it should be.
    """
    return read_slides(fetch_cmu())


def fetch_cmu() -> Path:
    """Return the CMU sample, fetched on first use and checked by its SHA-256.

    Raises
    ------
    SlideOpenError
        When it cannot be fetched, or is not the file it should be.
    """
    import pooch

    try:
        path = pooch.retrieve(
            CMU_URL,
            f"sha256:{CMU_SHA256}",
            fname=CMU_NAME,
            path=samples_folder(),
            progressbar=False,
        )
    except (OSError, ValueError) as error:
        raise SlideOpenError(
            expected=f"the sample slide {CMU_NAME} from openslide.cs.cmu.edu",
            found=f"that it could not be fetched ({type(error).__name__})",
            hint="Check your internet connection, or use the built-in sample, which needs no "
            "download.",
            causes=[error],
        ) from error
    return Path(path)
