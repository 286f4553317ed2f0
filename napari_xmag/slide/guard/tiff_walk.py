"""A walk through the directories of a TIFF, bounded, before anything else trusts the file."""

import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tifffile import TiffFileError

from napari_xmag.errors import SlideOpenError
from napari_xmag.slide.guard.limits import MOST_DIRECTORIES

NDPI_MARK = 65420
"""Tag of Hamamatsu's NDPI, whose places have 64 bits in an otherwise plain TIFF."""

_SUB_DIRECTORIES = 330
# Bytes of each type of value, by its number; IFD and its 64-bit relatives count as numbers.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
# No directory has more entries; TIFF names some hundred tags.
_MOST_ENTRIES = 4096
_DESCRIPTION = 270
# Of most tags the first value is enough; of the lengths of strips and tiles some thousand.
_KEPT = {_SUB_DIRECTORIES: 64, 279: 4096, 325: 4096}


@dataclass(frozen=True, slots=True)
class IfdEntry:
    """A tag as it is listed.

    Attributes
    ----------
    count
        How many values it has.
    values
        The first of them, where they are whole numbers.
    end
        Where its values end in the file; 0 where they lie in the directory itself.
    known
        Whether its type is one of TIFF's.
    """

    count: int
    values: tuple[int, ...]
    end: int
    known: bool


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory of a TIFF: most often one picture, which may be a level."""

    entries: Mapping[int, IfdEntry]

    def number(self, tag: int, default: int = 0) -> int:
        """Return the first value of a tag."""
        entry = self.entries.get(tag)
        return entry.values[0] if entry is not None and entry.values else default

    def count(self, tag: int) -> int:
        """Return how many values a tag has; 0 without it."""
        entry = self.entries.get(tag)
        return 0 if entry is None else entry.count


@dataclass(frozen=True)
class TiffWalk:
    """What a TIFF lists.

    Attributes
    ----------
    size
        Of the file in bytes.
    directories
        Those of the main chain, in order.
    below
        Those that directories of the main chain refer to.
    complete
        Whether each chain comes to its end; False where the file was cut off before.
    """

    size: int
    directories: tuple[Directory, ...]
    below: tuple[Directory, ...]
    complete: bool

    @property
    def described(self) -> bool:
        """Whether the descriptions of its pictures lie in the file, and were not cut off."""
        found = (one.entries.get(_DESCRIPTION) for one in (*self.directories, *self.below))
        return all(entry is None or entry.end <= self.size for entry in found)

    @property
    def is_ndpi(self) -> bool:
        """Whether it is Hamamatsu's relative of TIFF."""
        return any(NDPI_MARK in directory.entries for directory in self.directories[:1])


def walk_tiff(path: Path) -> TiffWalk:
    """Follow the chain of directories, and those below them.

    Raises
    ------
    TiffFileError
        When the file is no TIFF.
    SlideOpenError
        When its directories go round in a circle, do not end, or have no end of entries.
    OSError
        When it cannot be read.
    """
    with path.open("rb") as file:
        reader = _Reader.begin(file, path)
        main, below = _Chain(reader), _Chain(reader)
        complete = main.follow(reader.first)
        for directory in main.found:
            entry = directory.entries.get(_SUB_DIRECTORIES)
            for place in entry.values if entry is not None else ():
                complete &= below.follow(place)
        return TiffWalk(reader.size, tuple(main.found), tuple(below.found), complete)


@dataclass
class _Reader:
    """Reads directories of one kind of TIFF."""

    file: BinaryIO
    path: Path
    size: int
    order: str
    wide: bool
    first: int
    ndpi: bool = False
    seen: set[int] = field(default_factory=set)

    @classmethod
    def begin(cls, file: BinaryIO, path: Path) -> "_Reader":
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 16:
            raise TiffFileError("not a TIFF file")
        size = file.seek(0, 2)
        kind = struct.unpack_from(f"{order}H", head, 2)[0]
        if kind not in (42, 43):
            raise TiffFileError(f"not a TIFF file: its version is {kind}")
        wide = kind == 43
        first = struct.unpack_from(f"{order}Q" if wide else f"{order}I", head, 8 if wide else 4)[0]
        reader = cls(file, path, size, order, wide, int(first))
        if kind == 42 and order == "<":
            reader._try_ndpi(head)
        return reader

    def _try_ndpi(self, head: bytes) -> None:
        """Take the first place as 64 bits where an NDPI directory lies there."""
        found = None
        place = int(struct.unpack_from("<Q", head, 4)[0])
        with suppress(SlideOpenError):  # these eight bytes need not be a place
            found = self.read(place) if 0 < place < self.size else None
        if found is not None and NDPI_MARK in found[0].entries:
            self.first, self.ndpi = place, True

    @property
    def word(self) -> int:
        """Bytes of a place in the file."""
        return 8 if self.wide else 4

    def read(self, place: int) -> tuple[Directory, int] | None:
        """Return a directory and the place of the next; None where the file ended before."""
        head = 8 if self.wide else 2
        count = self._number(place, head)
        if count is None:
            return None
        if count > _MOST_ENTRIES:
            raise _endless(self.path, f"a directory of {count:,} entries")
        length = 20 if self.wide else 12
        raw = self.file.read(count * length)
        after = place + head + count * length
        following = self._number(after, 8 if self.ndpi else self.word)
        if len(raw) < count * length or following is None:
            return None
        entries = dict(self._entry(raw[at : at + length]) for at in range(0, len(raw), length))
        return Directory(entries), following

    def _entry(self, raw: bytes) -> tuple[int, IfdEntry]:
        tag, kind = struct.unpack_from(f"{self.order}HH", raw)
        count = int(struct.unpack_from(f"{self.order}{'Q' if self.wide else 'I'}", raw, 4)[0])
        inline = raw[8 if not self.wide else 12 :]
        size = _SIZES.get(kind, 1) * count
        end = 0
        if size > len(inline):
            start = int(struct.unpack(f"{self.order}{'Q' if self.wide else 'I'}", inline)[0])
            end = start + size
        return tag, IfdEntry(
            count, self._values(tag, kind, count, inline, end), end, kind in _SIZES
        )

    def _values(self, tag: int, kind: int, count: int, inline: bytes, end: int) -> tuple[int, ...]:
        letter = _NUMBERS.get(kind)
        if letter is None or not count:
            return ()
        most = min(count, _KEPT.get(tag, 1))
        size = _SIZES[kind]
        if end:
            start = end - size * count
            if start + most * size > self.size:
                return ()
            here = self.file.tell()
            self.file.seek(start)
            inline = self.file.read(most * size)
            self.file.seek(here)
        return tuple(map(int, struct.unpack_from(f"{self.order}{most}{letter}", inline)))

    def _number(self, place: int, size: int) -> int | None:
        if place + size > self.size:
            return None
        self.file.seek(place)
        data = self.file.read(size)
        letter = {2: "H", 4: "I", 8: "Q"}[size]
        return int(struct.unpack(self.order + letter, data)[0]) if len(data) == size else None


@dataclass
class _Chain:
    """Directories, each of which names the next."""

    reader: _Reader
    found: list[Directory] = field(default_factory=list)

    def follow(self, place: int) -> bool:
        """Take in a chain from its first place; return whether it comes to its end."""
        seen, own = self.reader.seen, set[int]()
        while place:
            if place in own:
                raise _endless(self.reader.path, "circular directories")
            if place in seen:
                return True  # some writers list directories that one another name, too
            if len(seen) >= MOST_DIRECTORIES:
                raise _endless(self.reader.path, f"more than {MOST_DIRECTORIES:,} directories")
            read = self.reader.read(place)
            if read is None:
                return False
            seen.add(place)
            own.add(place)
            directory, place = read
            self.found.append(directory)
        return True


def _endless(path: Path, found: str) -> SlideOpenError:
    return SlideOpenError(
        expected="a TIFF whose list of images comes to an end",
        found=f"{found} in {path.name}",
        hint="The file is damaged: copy it again from its source.",
    )
