"""The tiles and strips of TIFF pages, with a decoder that knows their colours."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.colors.codestreams import stream_pixels
from napari_xmag.slide.colors.stored import (
    EIGHT_BITS,
    ColorModel,
    Samples,
    StoredColor,
    components_are_ycbcr,
    decode_jpeg,
    decode_jpeg2000,
)
from napari_xmag.slide.plain_samples import PlainSamples
from napari_xmag.slide.segments import Alpha, SegmentLevel, Segments, grid_size, some_segments

# A compressed file in one giant block would have to be decoded whole for each look at it.
LARGEST_SEGMENT = 2**30

# Streams are padded to whole blocks at most.
_MOST_BEYOND, _SMALL_TILE = 4, 2**16
# Kinds of compression that give bytes and know nothing of pixels.
_BY_BYTES = frozenset({1, 5, 8, 32773, 32946, 34925, 34926, 50000, 50013})
_JPEG = frozenset({7, 33007, 34892})
# JPEG of TIFF 6.0, which only tifffile puts together: it makes RGB of what the label says.
_OLD_JPEG = 6
# 33003 is Aperio's YCbCr, whatever the photometric tag beside it says.
_APERIO_YCBCR = 33003
_JPEG_2000 = frozenset({_APERIO_YCBCR, 33004, 33005, 34712})
# Their decoders return RGB by themselves: WebP, JPEG XL, JPEG XR. All others (PNG and LERC, too)
# return the samples that they were given, which only the label explains.
_RGB_BY_THEMSELVES = frozenset({34927, 50001, 34934, 22610, 50002, 52546})
_YCBCR = 6
# What a fourth sample of ExtraSamples 1 or 2 is; of 0 it may be anything.
_ALPHAS = {1: Alpha.PREMULTIPLIED, 2: Alpha.STRAIGHT}
_MODELS = {
    0: ColorModel.INVERTED_GREY,
    1: ColorModel.GREY,
    2: ColorModel.RGB,
    3: ColorModel.PALETTE,
    _YCBCR: ColorModel.YCBCR,
}

_SIGNIFICANT_BITS = re.compile(r'SignificantBits="(\d{1,2})"')

_Decode = Callable[[bytes, int], Samples]


def color_problem(page: Any) -> str:
    """Return why the colours of a page cannot become 8-bit RGB, or an empty text."""
    if int(page.photometric) not in _MODELS:
        return f"an image of another kind of colour ({page.photometric!s})"
    if page.dtype not in (np.uint8, np.uint16):
        return f"pixels of type {page.dtype}"
    grey = int(page.photometric) in (0, 1)
    if grey and page.dtype != np.uint8:
        return f"grey pixels of type {page.dtype}"
    if _is_subsampled(page):
        plain = page.dtype == np.uint8 and page.predictor in (None, 1) and page.planarconfig == 1
        return "" if plain else "subsampled YCbCr of a kind that cannot be decoded"
    return ""


def segment_level(pages: Sequence[Any], path: Path) -> SegmentLevel:
    """Describe one level that is stored in one page, or in a page for each colour.

    Raises
    ------
    SlideOpenError
        When the level is one compressed block too large to decode.
    """
    key = pages[0].keyframe
    planes = key.samplesperpixel if key.planarconfig == 2 else 1
    width, height = key.imagewidth, key.imagelength
    segment = (key.tilewidth, key.tilelength) if key.is_tiled else (width, key.rowsperstrip)
    plain = _plain_samples(pages, path)
    if plain is None and segment[0] * segment[1] * key.samplesperpixel > LARGEST_SEGMENT:
        raise SlideOpenError(
            expected="a slide stored in tiles",
            found=f"{path.name}, one compressed block of {width}×{height} pixels",
            hint="Convert it to a tiled pyramidal TIFF (for instance with QuPath or vips).",
        )
    columns, rows = grid_size(width, height, segment[0], min(segment[1], height))
    parts = [_segments(page, path, columns * rows * planes) for page in pages]
    return SegmentLevel(
        width=width,
        height=height,
        segment_width=segment[0],
        segment_height=min(segment[1], height),
        columns=columns,
        rows=rows,
        pages=tuple(part for part, _ in parts),
        color=parts[0][1] if len(pages) == 1 else StoredColor(ColorModel.RGB, _peak(key)),
        planes=planes,
        alpha=_ALPHAS.get(int(key.extrasamples[0]) if key.extrasamples else 0, Alpha.NONE),
        plain=plain,
    )


def _segments(page: Any, path: Path, number: int) -> tuple[Segments, StoredColor]:
    """Return where the segments of a page lie; what a cut table lacks lies beyond the end."""
    listed = min(len(page.dataoffsets), len(page.databytecounts), number)
    offsets, counts = np.full(number, path.stat().st_size), np.ones(number, np.int64)
    offsets[:listed] = page.dataoffsets[:listed]
    counts[:listed] = page.databytecounts[:listed]
    _require_length(page.keyframe, path, offsets, counts)
    decode, color = _decoder(page, path, offsets, counts)
    return Segments((path,), offsets, counts, decode), color


def _require_length(key: Any, path: Path, offsets: Any, counts: Any) -> None:
    """Refuse a page whose segments hold more or fewer samples than its sizes say.

    Raises
    ------
    SlideOpenError
        When the first segment does; the others lie elsewhere than they seem, too.
    """
    if key.compression not in _BY_BYTES or _is_subsampled(key) or key.bitspersample % 8:
        return
    decompress = None if key.compression == 1 else tifffile.TIFF.DECOMPRESSORS[key.compression]
    width, height = _segment_size(key)(0)
    samples = key.samplesperpixel if key.planarconfig == 1 else 1
    wanted = width * height * samples * key.bitspersample // 8
    first = next(some_segments((path,), offsets[:1], counts[:1]), None)
    if first is None:
        return  # left out, or cut off
    try:
        found = len(first if decompress is None else decompress(first, out=2 * wanted))
    except (ValueError, RuntimeError):
        return  # damage, which is told where it is read
    if found != wanted:
        raise SlideOpenError(
            expected=f"{wanted:,} bytes in each block of {width}×{height} pixels",
            found=f"{found:,} in {path.name}",
            hint="The file is damaged: copy it again from its source.",
        )


def _decoder(page: Any, path: Path, offsets: Any, counts: Any) -> tuple[_Decode, StoredColor]:
    """Return what decodes a segment, and what its samples then mean."""
    key = page.keyframe
    colors = key.samplesperpixel >= 3 and key.planarconfig == 1
    by_streams = key.compression in _JPEG and key.samplesperpixel == 3
    by_streams |= key.compression in _JPEG_2000
    if not (colors and by_streams):
        return _other_decoder(key), _stored_color(key)
    labelled = int(key.photometric) == _YCBCR or key.compression == _APERIO_YCBCR
    judged = components_are_ycbcr(some_segments((path,), offsets, counts), key.jpegtables, labelled)
    decode = _jpeg if key.compression in _JPEG else _jpeg_2000
    # what decodes JPEG 2000 in colour gives 8 bits, whatever is stored
    peak = _peak(key) if key.compression in _JPEG else EIGHT_BITS
    color = StoredColor(ColorModel.RGB, peak, verified=judged.sure)
    return decode(key, judged.is_ycbcr), color


def _other_decoder(key: Any) -> _Decode:
    if _is_subsampled(key):
        return _subsampled(key)
    # what compresses pictures gives all their pixels, whatever the tag says of coarser chroma
    whole = key.is_subsampled and key.compression not in _JPEG | {_OLD_JPEG}
    return _by_codec(key) if whole and key.planarconfig == 1 else _by_tifffile(key)


def _jpeg(key: Any, is_ycbcr: bool) -> _Decode:
    tables = key.jpegtables
    size = _segment_size(key)

    def decode(data: bytes, index: int) -> Samples:
        width, height = size(index)
        _require_declared(data, width * height)
        return _fitted(decode_jpeg(data, tables, is_ycbcr), width, height, key)

    return decode


def _jpeg_2000(key: Any, is_ycbcr: bool) -> _Decode:
    size = _segment_size(key)

    def decode(data: bytes, index: int) -> Samples:
        width, height = size(index)
        _require_declared(data, width * height)
        return _fitted(decode_jpeg2000(data, is_ycbcr), width, height, key)

    return decode


def _fitted(samples: Samples, width: int, height: int, key: Any) -> Samples:
    """Cut what goes beyond a strip; tiles have one size, or lie elsewhere than it seems."""
    if key.is_tiled and (samples.shape[0] != height or samples.shape[1] != width):
        found = f"{samples.shape[1]}×{samples.shape[0]}"
        if samples.shape[0] > height or samples.shape[1] > width or not _is_edge(samples, key):
            raise ValueError(f"a block of {found} pixels in a tile of {width}×{height}")
    return samples[:height, :width]


def _is_edge(samples: Samples, key: Any) -> bool:
    """Return whether a smaller tile is what is left of the picture at its far edges."""
    left = key.imagewidth % key.tilewidth, key.imagelength % key.tilelength
    return samples.shape[1] in (key.tilewidth, left[0]) and samples.shape[0] in (
        key.tilelength,
        left[1],
    )


def _require_declared(data: bytes, pixels: int) -> None:
    """Refuse a stream that is far larger than its tile: decoding it would only fill memory."""
    declared = stream_pixels(data)
    if declared > _MOST_BEYOND * max(pixels, _SMALL_TILE):
        raise ValueError(f"a block of {pixels:,} pixels that declares {declared:,}")


def _by_tifffile(key: Any) -> _Decode:
    decode_segment = key.decode
    tables = {"jpegtables": key.jpegtables, "jpegheader": key.jpegheader}

    def decode(data: bytes, index: int) -> Samples:
        decoded, _, shape = decode_segment(data, index, **tables)
        return np.asarray(decoded[0, : shape[1], : shape[2]])

    return decode


def _by_codec(key: Any) -> _Decode:
    decompress = tifffile.TIFF.DECOMPRESSORS[key.compression]
    size = _segment_size(key)

    def decode(data: bytes, index: int) -> Samples:
        return _fitted(np.asarray(decompress(data)), *size(index), key)

    return decode


def _subsampled(key: Any) -> _Decode:
    """Return a decoder of YCbCr with coarser chroma, which tifffile leaves to others.

    TIFF stores it in units: the brightness of a few pixels, then one Cb and one Cr for them all.
    Where a tag is missing, coarser chroma is taken for granted: as many bytes as samples deny it.
    """
    decompress = None if key.compression == 1 else tifffile.TIFF.DECOMPRESSORS[key.compression]
    across, down = key.subsampling or (2, 2)
    size = _segment_size(key)

    def decode(data: bytes, index: int) -> Samples:
        width, height = size(index)
        columns, rows = grid_size(width, height, across, down)
        unit = across * down + 2
        whole = width * height * key.samplesperpixel
        raw = (
            data if decompress is None else decompress(data, out=max(whole, rows * columns * unit))
        )
        if len(raw) >= whole > rows * columns * unit:
            return np.frombuffer(raw, np.uint8)[:whole].reshape(height, width, -1)
        units = np.frombuffer(raw, np.uint8)[: rows * columns * unit].reshape(rows, columns, unit)
        blocks = units[..., :-2].reshape(rows, columns, down, across).swapaxes(1, 2)
        chroma = units[..., -2:].repeat(down, axis=0).repeat(across, axis=1)
        luma = blocks.reshape(rows * down, columns * across, 1)
        return np.concatenate([luma, chroma], axis=2)[:height, :width]

    return decode


def _segment_size(key: Any) -> Callable[[int], tuple[int, int]]:
    """Return what gives the (width, height) of a segment by its number."""
    if key.is_tiled:
        return lambda _: (key.tilewidth, key.tilelength)
    width, length, strip = key.imagewidth, key.imagelength, key.rowsperstrip
    strips = -(-length // strip)
    return lambda index: (width, min(strip, length - index % strips * strip))


def _stored_color(key: Any) -> StoredColor:
    model = _MODELS[int(key.photometric)]
    by_jpeg = key.compression in _JPEG | {_OLD_JPEG} and key.planarconfig == 1
    by_label = not (by_jpeg or key.compression in _RGB_BY_THEMSELVES)
    if model is ColorModel.YCBCR and not by_label:
        model = ColorModel.RGB
    if model is not ColorModel.YCBCR:
        verified = key.compression != _OLD_JPEG or model is not ColorModel.RGB
        return StoredColor(model, _peak(key), _palette(key), by_label=by_label, verified=verified)
    luma = _ratios(key, "YCbCrCoefficients", StoredColor.luma)
    black_white = _ratios(key, "ReferenceBlackWhite", StoredColor.black_white)
    return StoredColor(model, _peak(key), luma=luma, black_white=black_white, by_label=by_label)


def _peak(key: Any) -> int:
    """Return the value of full brightness: what the file states, or all bits set."""
    full = int(2 ** min(int(key.bitspersample), _significant_bits(key), 16) - 1)
    for name in ("SMaxSampleValue", "MaxSampleValue"):
        tag = key.tags.get(name)
        value = None if tag is None else np.max(tag.value)
        if value is not None and 255 < value < full:
            return int(value)
    return full


def _significant_bits(key: Any) -> int:
    """Return how many bits OME-XML says are used; all where it says nothing, or two things."""
    stated = set(_SIGNIFICANT_BITS.findall(key.parent.ome_metadata or ""))
    bits = int(stated.pop()) if len(stated) == 1 else int(key.bitspersample)
    return bits if bits > 8 else int(key.bitspersample)


def _palette(key: Any) -> Any:
    if int(key.photometric) != 3 or key.colormap is None:
        return None
    table = np.asarray(key.colormap).T
    # Some writers fill the 16-bit table with 8-bit values.
    return (table if table.max() <= 255 else table >> 8).astype(np.uint8)


def _ratios(key: Any, name: str, default: tuple[float, ...]) -> tuple[float, ...]:
    tag = key.tags.get(name)
    if tag is None:
        return default
    values = np.asarray(tag.value, np.float64)
    ratios = values.reshape(-1, 2)[:, 0] / values.reshape(-1, 2)[:, 1]
    if len(ratios) != len(default):
        return default
    return tuple(round(float(ratio), 6) for ratio in ratios)


def _is_subsampled(page: Any) -> bool:
    """Return whether bytes hold coarser chroma; what compresses pictures undoes it by itself."""
    by_bytes = page.compression in _BY_BYTES
    return by_bytes and int(page.photometric) == _YCBCR and bool(page.is_subsampled)


def _plain_samples(pages: Sequence[Any], path: Path) -> PlainSamples | None:
    """Return where uncompressed samples lie in one piece; None where they do not."""
    key = pages[0].keyframe
    contiguous = key.compression == 1 and key.is_contiguous and key.bitspersample in (8, 16)
    if len(pages) > 1 or key.is_tiled or not contiguous or _is_subsampled(key):
        return None
    planes = key.samplesperpixel if key.planarconfig == 2 else 1
    plain = PlainSamples(
        offset=pages[0].dataoffsets[0],
        dtype=np.dtype(key.dtype).newbyteorder(key.parent.byteorder),
        width=key.imagewidth,
        height=key.imagelength,
        samples=key.samplesperpixel,
        planes=planes,
    )
    # Cut short: strip by strip, what is there can still be read.
    return plain if plain.end <= path.stat().st_size else None
