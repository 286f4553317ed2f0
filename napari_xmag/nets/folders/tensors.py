"""What a safetensors file declares, read and checked before any tensor is; needs no torch."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_xmag.files import parse_json

_MOST_HEADER = 2**25
_MOST_TENSORS = 2**16
_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL"), 1),
}
_FLOATS: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
}
_BFLOAT_EXPONENT = 0x7F80
_CHUNK = 2**24


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as the header of its file declares it.

    Attributes
    ----------
    dtype
        As safetensors calls it, such as F32.
    shape
        Of the tensor.
    begin, end
        Where its bytes lie in the file.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_tensor_headers(path: Path) -> dict[str, StoredTensor]:
    """Return the tensors of a file by name.

    Raises
    ------
    ValueError
        When it is no safetensors file, or its tensors do not fill the file exactly.
    OSError
        When it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 10 or not 2 <= length <= min(size - 8, _MOST_HEADER):
            raise ValueError("no header of safetensors")
        listed = parse_json(file.read(length))
    if not isinstance(listed, dict) or len(listed) > _MOST_TENSORS:
        raise ValueError("a header that lists no tensors")
    listed.pop("__metadata__", None)
    tensors = {name: _tensor(name, item, 8 + length) for name, item in listed.items()}
    place = 8 + length
    for tensor in sorted(tensors.values(), key=lambda tensor: (tensor.begin, tensor.end)):
        if tensor.begin != place:
            raise ValueError("tensors that overlap or leave gaps")
        place = tensor.end
    if place != size or not tensors:
        raise ValueError(f"tensors of {place:,} bytes in a file of {size:,}")
    return tensors


def require_finite(path: Path, tensors: dict[str, StoredTensor]) -> None:
    """Refuse a file in which a number is none, or infinite.

    Raises
    ------
    ValueError
        When there is one; the tensor is named.
    """
    with path.open("rb") as file:
        for name, tensor in tensors.items():
            if not _is_finite(file, tensor):
                raise ValueError(f"{name} holds values that are not finite numbers")


def _tensor(name: str, item: Any, start: int) -> StoredTensor:
    try:
        dtype, shape, (begin, end) = item["dtype"], item["shape"], item["data_offsets"]
        numbers = [*shape, begin, end]
        plain = all(type(number) is int and number >= 0 for number in numbers)
        fits = plain and math.prod(shape) * _BYTES[dtype] == end - begin
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"an unreadable description of {name[:100]!r}") from error
    if not fits:
        raise ValueError(f"a shape of {name[:100]!r} that does not fit its bytes")
    return StoredTensor(dtype, tuple(shape), start + begin, start + end)


def _is_finite(file: BinaryIO, tensor: StoredTensor) -> bool:
    if tensor.dtype not in (*_FLOATS, "BF16"):
        return True
    file.seek(tensor.begin)
    left = tensor.end - tensor.begin
    while left:
        data = file.read(min(left, _CHUNK))
        if not data or not _finite(data, tensor.dtype):
            return False
        left -= len(data)
    return True


def _finite(data: bytes, dtype: str) -> bool:
    if dtype == "BF16":
        bits: NDArray[np.uint16] = np.frombuffer(data, "<u2")
        return not bool(((bits & _BFLOAT_EXPONENT) == _BFLOAT_EXPONENT).any())
    values: NDArray[Any] = np.frombuffer(data, _FLOATS[dtype])
    return bool(np.isfinite(values).all())
