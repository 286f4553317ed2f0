"""Seeded damage to slides: to what their headers state, and to their bytes."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

_ODD = (0, 1, 2, 3, 7, 15, 16, 255, 256, 512, 1000, 4096, 65_535, 65_536, 2**24, 2**31 - 1)
_ODD += (2**31, 2**32 - 1, 123_456_784)
# Size, tile size, length of strips, resolution and its unit.
GEOMETRY = (256, 257, 278, 282, 283, 296, 322, 323)
# Kind of picture, bits, compression, colours, places and lengths, samples, planes, tables.
CONTENT = (254, 258, 259, 262, 270, 273, 277, 279, 284, 317, 320, 324, 325, 330, 338, 347, 530)


class Keeps(StrEnum):
    """What a mutation leaves alone.

    Attributes
    ----------
    NOTHING
        Pixels may be others.
    SHAPE
        Another level may be the finest, but what is shown shows the whole picture.
    PLACES
        Each level-0 pixel that is shown is where it was.
    """

    NOTHING = "nothing"
    SHAPE = "shape"
    PLACES = "places"


@dataclass(frozen=True)
class Mutant:
    """A damaged slide.

    Attributes
    ----------
    data
        Its bytes.
    words
        What was done.
    keeps
        What must stay as it was where the slide still opens.
    """

    data: bytes
    words: str
    keeps: Keeps = Keeps.NOTHING


@dataclass(frozen=True)
class _Entry:
    """An entry of a TIFF directory, and where it lies."""

    at: int
    tag: int
    kind: int
    count: int


class _Tiff:
    """Just enough of TIFF to damage it in the right places."""

    def __init__(self, data: bytes) -> None:
        self.order = "<" if data[:2] == b"II" else ">"
        self.wide = struct.unpack_from(f"{self.order}H", data, 2)[0] == 43
        self.word = "Q" if self.wide else "I"
        self.entries: list[_Entry] = []
        self.links: list[int] = [8 if self.wide else 4]
        place = self._number(data, self.links[0])
        while place:
            place = self._directory(data, place)

    def _number(self, data: bytes, at: int) -> int:
        return int(struct.unpack_from(self.order + self.word, data, at)[0])

    def _directory(self, data: bytes, place: int) -> int:
        head, size = (8, 20) if self.wide else (2, 12)
        count = struct.unpack_from(self.order + ("Q" if self.wide else "H"), data, place)[0]
        for number in range(count):
            at = place + head + number * size
            tag, kind, values = struct.unpack_from(f"{self.order}HH{self.word}", data, at)
            self.entries.append(_Entry(at, tag, kind, values))
        self.links.append(place + head + count * size)
        return self._number(data, self.links[-1])

    def with_value(self, data: bytes, entry: _Entry, value: int) -> bytes:
        """Give an entry one number."""
        out = bytearray(data)
        size = 8 if self.wide else 4
        struct.pack_into(f"{self.order}HH", out, entry.at, entry.tag, 16 if self.wide else 4)
        struct.pack_into(self.order + self.word, out, entry.at + 4, 1)
        struct.pack_into(self.order + self.word, out, entry.at + 4 + size, value % 2 ** (8 * size))
        return bytes(out)

    def with_field(self, data: bytes, entry: _Entry, field: int, value: int) -> bytes:
        """Change tag (0), type (1), count (2), or value and place (3) of an entry."""
        out = bytearray(data)
        size = 8 if self.wide else 4
        if field < 2:
            struct.pack_into(f"{self.order}H", out, entry.at + 2 * field, value % 2**16)
        else:
            at = entry.at + 4 + (field - 2) * size
            struct.pack_into(self.order + self.word, out, at, value % 2 ** (8 * size))
        return bytes(out)


_Damage = Callable[[bytes, np.random.Generator], Mutant]


def mutate(data: bytes, rng: np.random.Generator) -> Mutant:
    """Damage a slide in one of many ways, by chance of the generator alone."""
    tiff = data[:2] in (b"II", b"MM")
    ways: tuple[_Damage, ...] = (_cut, _flip, _blank, _insert, _swap, _odd_number)
    if tiff:
        ways = (_geometry, _geometry, _geometry, _content, _field, _field, _link, *ways)
    return ways[rng.integers(len(ways))](data, rng)


def _odd(rng: np.random.Generator) -> int:
    return int(rng.choice(_ODD)) if rng.random() < 0.7 else int(rng.integers(2**32))


def _near(data: bytes, tiff: _Tiff, entry: _Entry, rng: np.random.Generator) -> int:
    """Return a value close to the one that stands there."""
    size = 8 if tiff.wide else 4
    here = int(struct.unpack_from(tiff.order + tiff.word, data, entry.at + 4 + size)[0])
    factor = rng.choice((0.5, 0.75, 0.9, 1.1, 1.5, 2, 3))
    return int(here * factor) + int(rng.integers(-1, 2))


def _chosen(tiff: _Tiff, tags: tuple[int, ...], rng: np.random.Generator) -> _Entry:
    found = [entry for entry in tiff.entries if entry.tag in tags]
    return found[rng.integers(len(found))]


def _geometry(data: bytes, rng: np.random.Generator) -> Mutant:
    tiff = _Tiff(data)
    entry = _chosen(tiff, GEOMETRY, rng)
    value = _near(data, tiff, entry, rng) if rng.random() < 0.6 else _odd(rng)
    return Mutant(tiff.with_value(data, entry, value), f"tag {entry.tag} = {value}", Keeps.PLACES)


def _content(data: bytes, rng: np.random.Generator) -> Mutant:
    tiff = _Tiff(data)
    entry, value = _chosen(tiff, CONTENT, rng), _odd(rng)
    return Mutant(tiff.with_value(data, entry, value), f"tag {entry.tag} = {value}")


def _field(data: bytes, rng: np.random.Generator) -> Mutant:
    tiff = _Tiff(data)
    entry = tiff.entries[rng.integers(len(tiff.entries))]
    field, value = int(rng.integers(4)), _odd(rng)
    what = ("tag", "type", "count", "value")[field]
    words = f"{what} of tag {entry.tag} = {value}"
    return Mutant(tiff.with_field(data, entry, field, value), words)


def _link(data: bytes, rng: np.random.Generator) -> Mutant:
    """Let a directory name another one as its next, or no directory at all."""
    tiff = _Tiff(data)
    at = tiff.links[rng.integers(len(tiff.links))]
    size = 8 if tiff.wide else 4
    known = [int.from_bytes(data[link : link + size], "little") for link in tiff.links]
    value = int(rng.choice(known)) if rng.random() < 0.5 else _odd(rng)
    out = bytearray(data)
    struct.pack_into(tiff.order + tiff.word, out, at, value % 2 ** (8 * size))
    return Mutant(bytes(out), f"next directory at {value}", Keeps.SHAPE)


def _cut(data: bytes, rng: np.random.Generator) -> Mutant:
    end = int(rng.integers(len(data)))
    return Mutant(data[:end], f"cut at {end}")


def _flip(data: bytes, rng: np.random.Generator) -> Mutant:
    out = bytearray(data)
    near = len(data) if rng.random() < 0.5 else min(len(data), 2048)
    for at in rng.integers(near, size=int(rng.integers(1, 20))):
        out[at] ^= 1 << int(rng.integers(8))
    return Mutant(bytes(out), "bits flipped")


def _blank(data: bytes, rng: np.random.Generator) -> Mutant:
    start, length = int(rng.integers(len(data))), int(rng.integers(1, 5000))
    end = min(len(data), start + length)
    fill = bytes([int(rng.choice((0, 255)))]) * (end - start)
    return Mutant(data[:start] + fill + data[end:], f"{start}–{end} blanked")


def _insert(data: bytes, rng: np.random.Generator) -> Mutant:
    at = int(rng.integers(len(data)))
    return Mutant(data[:at] + rng.bytes(int(rng.integers(1, 64))) + data[at:], "inserted")


def _swap(data: bytes, rng: np.random.Generator) -> Mutant:
    one, other, length = (int(rng.integers(len(data))) for _ in range(3))
    length = min(length, 4096, len(data) - max(one, other))
    out = bytearray(data)
    out[one : one + length] = data[other : other + length]
    return Mutant(bytes(out), f"{length} bytes copied from {other} to {one}")


def _odd_number(data: bytes, rng: np.random.Generator) -> Mutant:
    at = int(rng.integers(max(1, len(data) - 4)))
    at = at if rng.random() < 0.3 else at % 2048 % max(1, len(data) - 4)
    out = bytearray(data)
    struct.pack_into("<I", out, at, _odd(rng) % 2**32)
    return Mutant(bytes(out), f"odd number at {at}")
