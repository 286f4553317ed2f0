"""The frames of DICOM pixel data: where they lie in the file, and how they are decoded."""

import mmap
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from napari_xmag.slide.colors.light import dicom_light
from napari_xmag.slide.colors.stored import (
    EIGHT_BITS,
    ColorModel,
    Samples,
    StoredColor,
    components_are_ycbcr,
    decode_jpeg,
    decode_jpeg2000,
)
from napari_xmag.slide.dicom.instances import Instance

_ITEM = b"\xfe\xff\x00\xe0"
_UNKNOWN = 0xFFFFFFFF
_LITTLE = "1.2.840.10008.1.2"
_NATIVE = {_LITTLE: "<", f"{_LITTLE}.1": "<", f"{_LITTLE}.2": ">"}
_JPEG = {f"{_LITTLE}.4.{number}" for number in (50, 51, 57, 70)}
_JPEG_LS = {f"{_LITTLE}.4.{number}" for number in (80, 81)}
_JPEG_2000 = {f"{_LITTLE}.4.{number}" for number in (90, 91, 92, 93, 201, 202, 203)}
_JPEG_XL = {f"{_LITTLE}.4.{number}" for number in (110, 111, 112)}
_RLE = f"{_LITTLE}.5"
_LABELS_YCBCR = {"YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420"}
_GREY = {"MONOCHROME1": ColorModel.INVERTED_GREY, "MONOCHROME2": ColorModel.GREY}

Places = tuple[NDArray[np.int64], NDArray[np.int64]]
_Decode = Callable[[bytes, int], Samples]


def frame_problem(instance: Instance) -> str:
    """Return why the frames of an instance cannot become 8-bit RGB, or an empty text."""
    label, samples = instance.text("PhotometricInterpretation"), instance.number("SamplesPerPixel")
    known = {*_NATIVE, *_JPEG, *_JPEG_LS, *_JPEG_2000, *_JPEG_XL, _RLE}
    if instance.syntax not in known:
        return f"pixels of a kind that cannot be decoded (transfer syntax {instance.syntax})"
    if light := dicom_light(instance.header.get("OpticalPathSequence") or ()):
        return light
    if samples == 1 and label in _GREY:
        grey = instance.number("BitsAllocated") == 8
        return "" if grey else f"grey pixels of {instance.number('BitsStored')} bits"
    if samples != 3 or label not in {"RGB", *_LABELS_YCBCR}:
        return f"{samples} samples per pixel called {label or 'nothing'}"
    if instance.number("BitsAllocated") not in (8, 16) or instance.number("PixelRepresentation"):
        return f"pixels of {instance.number('BitsAllocated')} bits"
    return ""


def frame_places(instance: Instance) -> Places:
    """Return place and length in bytes of every frame, items around them included.

    Frames that the file no longer holds lie beyond its end.
    """
    frames = max(1, instance.number("NumberOfFrames", 1))
    with instance.path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with data:
            start, length = _pixel_data(data, instance)
            if length != _UNKNOWN:
                size = _native_bytes(instance)
                return start + np.arange(frames, dtype=np.int64) * size, np.full(frames, size)
            found = _listed_frames(data, instance, start, frames)
            return found if found is not None else _walked_frames(data, start, frames)


def _pixel_data(data: mmap.mmap, instance: Instance) -> tuple[int, int]:
    """Return where the value of the pixel data begins, and its length."""
    at = instance.pixels_at
    if instance.syntax == _LITTLE:
        return at + 8, int(struct.unpack_from("<I", data, at + 4)[0])
    order = _NATIVE.get(instance.syntax, "<")
    return at + 12, int(struct.unpack_from(f"{order}I", data, at + 8)[0])


def _native_bytes(instance: Instance) -> int:
    width, height = instance.tile
    pixel = instance.number("SamplesPerPixel") * instance.number("BitsAllocated") // 8
    if instance.text("PhotometricInterpretation") == "YBR_FULL_422":
        pixel = 2
    return width * height * pixel


def _listed_frames(data: mmap.mmap, instance: Instance, start: int, frames: int) -> Places | None:
    """Return the frames that an offset table lists, or None where there is no such table."""
    table = int(struct.unpack_from("<I", data, start + 4)[0])
    first = start + 8 + table
    extended, lengths = (
        instance.header.get(name) for name in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
    )
    if extended and lengths and len(extended) == len(lengths) == 8 * frames:
        offsets = np.frombuffer(extended, "<u8").astype(np.int64) + first
        return offsets, np.frombuffer(lengths, "<u8").astype(np.int64) + 8
    if table != 4 * frames:
        return None
    offsets = np.frombuffer(data[start + 8 : first], "<u4").astype(np.int64) + first
    if (np.diff(offsets) <= 0).any():
        return None  # a table beyond 4 GiB goes round; the items themselves are right
    last = max((place + size for place, size in _items(data, int(offsets[-1]))), default=len(data))
    ends = np.append(offsets[1:], max(last, int(offsets[-1]) + 1))
    return offsets, ends - offsets


def _walked_frames(data: mmap.mmap, start: int, frames: int) -> Places:
    """Return the frames as their items follow one another."""
    table = int(struct.unpack_from("<I", data, start + 4)[0])
    items = list(_items(data, start + 8 + table))
    if len(items) > frames:
        items = _joined(data, items)
    # What was cut off lies beyond the end, where reading it fails.
    items += [(len(data), 1)] * (frames - len(items))
    offsets, counts = np.array(items[:frames], np.int64).T
    return offsets, counts


def _items(data: mmap.mmap, place: int) -> Iterator[tuple[int, int]]:
    """Yield (place, length) of items, each with its header of 8 bytes."""
    while place + 8 <= len(data) and data[place : place + 4] == _ITEM:
        size = 8 + int(struct.unpack_from("<I", data, place + 4)[0])
        yield place, size
        place += size


def _joined(data: mmap.mmap, items: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join the items of frames that were split; a frame begins as its stream does."""
    begin = bytes(data[items[0][0] + 8 : items[0][0] + 10])
    frames: list[tuple[int, int]] = []
    for place, size in items:
        if not frames or data[place + 8 : place + 10] == begin:
            frames.append((place, size))
        else:
            first = frames[-1][0]
            frames[-1] = first, place + size - first
    return frames


def frame_decoder(instance: Instance, frames: Iterable[bytes]) -> tuple[_Decode, StoredColor]:
    """Return what decodes a frame to samples (H, W, S), and what these then mean.

    Parameters
    ----------
    frames
        Some of the frames that are read, with their items; they tell RGB from YCbCr.
    """
    label = instance.text("PhotometricInterpretation")
    peak = 2 ** max(8, instance.number("BitsStored", 8)) - 1
    labelled = label in _LABELS_YCBCR
    grey = _GREY.get(label)
    if instance.syntax in _NATIVE:
        model = grey or (ColorModel.YCBCR if labelled else ColorModel.RGB)
        return _native(instance), StoredColor(model, peak, by_label=grey is None)
    if instance.syntax in _JPEG_XL:
        return _unwrapped(imagecodecs.jpegxl_decode), StoredColor(grey or ColorModel.RGB, peak)
    if instance.syntax == _RLE or instance.syntax in _JPEG_LS:
        decode = _rle(instance) if instance.syntax == _RLE else imagecodecs.jpegls_decode
        model = grey or (ColorModel.YCBCR if labelled else ColorModel.RGB)
        return _unwrapped(decode), StoredColor(model, peak, by_label=grey is None)
    if grey is not None:
        jpeg = instance.syntax in _JPEG
        decode = imagecodecs.jpeg8_decode if jpeg else imagecodecs.jpeg2k_decode
        return _unwrapped(decode), StoredColor(grey, peak)
    judged = components_are_ycbcr(map(unwrap, frames), None, labelled)
    if instance.syntax in _JPEG:
        decode = partial(decode_jpeg, tables=None, is_ycbcr=judged.is_ycbcr)
    else:
        decode = partial(decode_jpeg2000, is_ycbcr=judged.is_ycbcr)
    # what decodes JPEG 2000 in colour gives 8 bits, whatever is stored
    bits = peak if instance.syntax in _JPEG else EIGHT_BITS
    return _unwrapped(decode), StoredColor(ColorModel.RGB, bits, verified=judged.sure)


def _unwrapped(decode: Callable[[bytes], Any]) -> _Decode:
    def of_frame(data: bytes, _: int) -> Samples:
        samples = np.asarray(decode(unwrap(data)))
        return samples[..., None] if samples.ndim == 2 else samples

    return of_frame


def unwrap(data: bytes) -> bytes:
    """Return the stream of a frame without the headers of its items."""
    parts, place = [], 0
    while data[place : place + 4] == _ITEM:
        size = int(struct.unpack_from("<I", data, place + 4)[0])
        parts.append(data[place + 8 : place + 8 + size])
        place += 8 + size
    return b"".join(parts)


def _native(instance: Instance) -> _Decode:
    width, height = instance.tile
    samples = instance.number("SamplesPerPixel")
    bits = instance.number("BitsAllocated")
    dtype = np.dtype(f"{_NATIVE[instance.syntax]}u{bits // 8}")
    planar = instance.number("PlanarConfiguration") == 1
    halved = instance.text("PhotometricInterpretation") == "YBR_FULL_422"

    def decode(data: bytes, _: int) -> Samples:
        values = np.frombuffer(data, dtype)
        if halved:
            return _from_422(values.reshape(height, width // 2, 4))
        if planar:
            return np.moveaxis(values.reshape(samples, height, width), 0, 2)
        return values.reshape(height, width, samples)

    return decode


def _from_422(values: Samples) -> Samples:
    """Return YCbCr of pairs of pixels that share their chroma: Y, Y, Cb, Cr."""
    height, pairs, _ = values.shape
    luma = values[..., :2].reshape(height, 2 * pairs, 1)
    return np.concatenate([luma, values[..., 2:].repeat(2, axis=1)], axis=2)


def _rle(instance: Instance) -> Callable[[bytes], Samples]:
    """Return a decoder of DICOM's run lengths: one segment for each byte of a sample."""
    width, height = instance.tile
    samples, depth = instance.number("SamplesPerPixel"), instance.number("BitsAllocated") // 8

    def decode(data: bytes) -> Samples:
        count, *places = struct.unpack_from("<16I", data)
        ends = [*places[1:count], len(data)]
        planes = [
            np.frombuffer(imagecodecs.packbits_decode(data[a:b]), np.uint8)[: width * height]
            for a, b in zip(places[:count], ends, strict=True)
        ]
        stacked = np.stack(planes).reshape(samples, depth, height, width)
        whole = np.zeros((samples, height, width), np.uint16 if depth == 2 else np.uint8)
        for byte in range(depth):  # the most significant first
            whole = (whole << 8 if byte else whole) | stacked[:, byte]
        return np.moveaxis(whole, 0, 2)

    return decode
