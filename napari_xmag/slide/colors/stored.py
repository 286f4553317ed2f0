"""From the samples that a file stores to 8-bit RGB."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.colors.codestreams import jpeg2000_color, jpeg_color, stream_pixels
from napari_xmag.slide.colors.glass import Judged, decide_color_space

Pixels = NDArray[np.uint8]
Samples = NDArray[Any]

# A strip may be a whole picture of 16,384 × 16,384 px.
_MOST_PIXELS = 2**28
# ITU-R BT.601, as JFIF and TIFF take it.
_LUMA = (0.299, 0.587, 0.114)
EIGHT_BITS = 255
"""The largest sample of 8 bits."""

_FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)
_CHROMA = np.arange(256) - 128
_RED_OF_CR = np.rint(1.402 * _CHROMA).astype(np.int16)
_BLUE_OF_CB = np.rint(1.772 * _CHROMA).astype(np.int16)
# In 1/65536, so that both parts are rounded once.
_GREEN_OF_CB = np.rint(-0.344136 * 65536 * _CHROMA).astype(np.int32) + 32768
_GREEN_OF_CR = np.rint(-0.714136 * 65536 * _CHROMA).astype(np.int32)


class ColorModel(StrEnum):
    """What the samples of a pixel mean."""

    GREY = "grey"
    INVERTED_GREY = "grey, 0 is white"
    RGB = "RGB"
    YCBCR = "YCbCr"
    PALETTE = "palette"


@dataclass(frozen=True, eq=False)
class StoredColor:
    """Turns the samples of a picture into 8 bits of grey, RGB, or RGB with alpha.

    Attributes
    ----------
    model
        What the samples mean.
    peak
        The value of full brightness; samples of 8 bits are never scaled.
    palette
        uint8 (N, 3) for a palette.
    luma, black_white
        TIFF's YCbCrCoefficients and ReferenceBlackWhite.
    by_label
        Whether only a label beside the samples tells RGB from YCbCr.
    verified
        Whether more than a label, which is often wrong, tells RGB from YCbCr.
    """

    model: ColorModel
    peak: int = EIGHT_BITS
    palette: Pixels | None = None
    luma: tuple[float, ...] = _LUMA
    black_white: tuple[float, ...] = _FULL_RANGE
    by_label: bool = False
    verified: bool = True

    def to_8_bit(self, samples: Samples) -> Pixels:
        """Return uint8 (H, W, 1, 3 or 4) of samples (H, W, S)."""
        if self.model is ColorModel.PALETTE and self.palette is not None:
            return self.palette[np.minimum(samples[..., 0], len(self.palette) - 1)]
        pixels = scaled_to_8_bit(samples, self.peak)
        if self.model is ColorModel.INVERTED_GREY:
            return 255 - pixels
        if self.model is ColorModel.YCBCR:
            return self._from_ycbcr(pixels)
        return pixels

    def _from_ycbcr(self, pixels: Pixels) -> Pixels:
        if (self.luma, self.black_white) == (_LUMA, _FULL_RANGE):
            return ycbcr_to_rgb(pixels)
        low_y, high_y, low_cb, high_cb, low_cr, high_cr = self.black_white
        y, cb, cr = (pixels[..., index].astype(np.float32) for index in range(3))
        y = (y - low_y) * 255 / (high_y - low_y)
        cb = (cb - low_cb) * 127 / (high_cb - low_cb)
        cr = (cr - low_cr) * 127 / (high_cr - low_cr)
        red_part, green_part, blue_part = self.luma
        red = y + (2 - 2 * red_part) * cr
        blue = y + (2 - 2 * blue_part) * cb
        green = (y - red_part * red - blue_part * blue) / green_part
        rgb = np.stack([red, green, blue], axis=2)
        out = pixels.copy()
        out[..., :3] = np.clip(np.rint(rgb), 0, 255)
        return out


def scaled_to_8_bit(samples: Samples, peak: int) -> Pixels:
    """Return samples of more than 8 bits scaled so that ``peak`` becomes 255."""
    if samples.dtype == np.uint8:
        return samples
    table = np.rint(np.arange(peak + 1) * (255 / peak)).astype(np.uint8)
    return np.asarray(table[np.minimum(samples, peak)])


def ycbcr_to_rgb(pixels: Pixels) -> Pixels:
    """Return RGB of JFIF's YCbCr, uint8 (H, W, 3 or more); further samples stay."""
    luma, cb, cr = (pixels[..., index] for index in range(3))
    out = pixels.copy()
    green = (_GREEN_OF_CB[cb] + _GREEN_OF_CR[cr]) >> 16
    for channel, shift in enumerate((_RED_OF_CR[cr], green, _BLUE_OF_CB[cb])):
        out[..., channel] = np.clip(luma + shift, 0, 255)
    return out


def decode_jpeg(data: bytes, tables: bytes | None, is_ycbcr: bool) -> Samples:
    """Decode a JPEG stream of three components to RGB, (H, W, 3).

    Parameters
    ----------
    is_ycbcr
        What its components are; see :func:`components_are_ycbcr`.

    Raises
    ------
    ValueError
        When the stream declares more pixels than any tile or strip has.
    RuntimeError
        When it cannot be decoded.
    """
    _require_size(data)
    model = "YCBCR" if is_ycbcr else "RGB"
    return np.asarray(
        imagecodecs.jpeg8_decode(data, tables=tables, colorspace=model, outcolorspace="RGB")
    )


def decode_jpeg2000(data: bytes, is_ycbcr: bool) -> Pixels:
    """Decode a JPEG 2000 stream to 8 bits of grey, RGB, or RGB with alpha, (H, W, S).

    Parameters
    ----------
    is_ycbcr
        What its components are where the stream does not say.

    Raises
    ------
    ValueError
        When the stream declares more pixels than any tile or strip has.
    RuntimeError
        When it cannot be decoded.
    """
    _require_size(data)
    color = jpeg2000_color(data)
    samples = np.asarray(imagecodecs.jpeg2k_decode(data))
    samples = samples[..., None] if samples.ndim == 2 else samples
    pixels = scaled_to_8_bit(samples, 2 ** (color.bits if color else 8) - 1)
    if is_ycbcr and pixels.shape[2] >= 3 and not (color and color.undone):
        return ycbcr_to_rgb(pixels)
    return pixels


def _require_size(stream: bytes) -> None:
    """Refuse a stream before memory is taken for what it declares."""
    pixels = stream_pixels(stream)
    if pixels > _MOST_PIXELS:
        raise ValueError(f"a block that declares {pixels:,} pixels")


def components_are_ycbcr(
    streams: Iterable[bytes], tables: bytes | None, labelled_ycbcr: bool
) -> Judged:
    """Return whether the components of JPEG or JPEG 2000 streams are YCbCr.

    The streams' own statements come first, then the colours that they show, then the label.

    Parameters
    ----------
    streams
        Some segments of the picture.
    tables
        JPEG tables that belong before each of them.
    labelled_ycbcr
        What the file says beside the streams.
    """
    silent, undone = [], False
    for stream in streams:
        color = jpeg_color(_with_tables(stream, tables)) or jpeg2000_color(stream)
        if color is None or color.undone:
            undone = undone or color is not None
            continue
        if color.is_ycbcr is not None:
            return Judged(color.is_ycbcr, True)
        silent.append(_components(stream, tables, color.bits))
    if undone and not silent:  # a decoder returns RGB, whatever is stored
        return Judged(labelled_ycbcr, True)
    return decide_color_space(silent, labelled_ycbcr)


def _with_tables(stream: bytes, tables: bytes | None) -> bytes:
    """Return a JPEG stream with the markers of its tables in front."""
    if not tables or not stream.startswith(b"\xff\xd8"):
        return stream
    return tables.removesuffix(b"\xff\xd9") + stream[2:]


def _components(stream: bytes, tables: bytes | None, bits: int) -> Pixels:
    """Return the components as they are stored."""
    if stream.startswith(b"\xff\xd8"):
        return scaled_to_8_bit(decode_jpeg(stream, tables, is_ycbcr=False), 2**bits - 1)
    return decode_jpeg2000(stream, is_ycbcr=False)
