"""Damage to documents: to what they say, part by part, and to their bytes."""

import copy
import csv
import io
import json
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

_NUMBERS = (0, -1, 1, 2, 1.5, -0.0, 1e-300, 1e300, 2**31, 2**63, 10**40, float("nan"), float("inf"))
_WORDS = (
    "",
    " ",
    "0",
    "-1",
    "nan",
    "1e999",
    "NaN",
    "\x00",
    "\n# x",
    "..",
    "../../x",
    "=1+1",
    "é",
    "𝔘",
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(_NUMBERS),
    st.sampled_from((*_WORDS, "x" * 100_000)),
    st.integers(-10, 10),
    st.floats(),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=4,
)


@st.composite
def damaged_json(draw: Draw, document: Any) -> bytes:
    """Return a document in which one to three parts are others, and sometimes its bytes, too."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        changed = _with_one_change(draw, changed)
    raw = json.dumps(changed, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        return bytes(draw(damaged_bytes(raw)))
    return raw


def _with_one_change(draw: Draw, document: Any) -> Any:
    places = list(_places(document))
    if not places or draw(st.integers(0, 19)) == 0:
        return draw(VALUES)
    holder, key = places[draw(st.integers(0, len(places) - 1))]
    how = draw(st.sampled_from(("value", "value", "value", "gone", "twice", "nested")))
    if how == "gone":
        del holder[key]
    elif how == "twice" and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    elif how == "nested":
        holder[key] = [holder[key]]
    else:
        holder[key] = draw(VALUES)
    return document


def _places(document: Any) -> Any:
    """Yield each container and key of a document; of long lists the first ones."""
    items: Sequence[tuple[Any, Any]] = ()
    if isinstance(document, dict):
        items = list(document.items())
    elif isinstance(document, list):
        items = list(enumerate(document[:3]))
    for key, value in items:
        yield document, key
        yield from _places(value)


@st.composite
def damaged_bytes(draw: Draw, raw: bytes) -> bytes:
    """Return bytes that were cut, overwritten, repeated or lengthened."""
    data = bytearray(raw)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        how = draw(st.sampled_from(("cut", "write", "insert", "blank", "repeat")))
        if how == "cut":
            del data[place:]
        elif how == "write":
            data[place : place + 4] = draw(st.binary(min_size=1, max_size=4))
        elif how == "insert":
            data[place:place] = draw(st.binary(min_size=1, max_size=8))
        elif how == "blank":
            data[place : place + 16] = bytes(len(data[place : place + 16]))
        else:
            data[place:place] = data[place : place + 64]
    return bytes(data)


@st.composite
def damaged_table(draw: Draw, rows: Sequence[Sequence[str]]) -> bytes:
    """Return a table in text with odd cells, rows, delimiters and encodings."""
    table = [list(row) for row in rows]
    for _ in range(draw(st.integers(1, 3))):
        row = table[draw(st.integers(0, len(table) - 1))] if table else []
        how = draw(st.sampled_from(("cell", "cell", "cell", "short", "long", "twice", "column")))
        if how == "cell" and row:
            cell = draw(st.one_of(st.sampled_from(_WORDS), st.text(max_size=6)))
            row[draw(st.integers(0, len(row) - 1))] = cell
        elif how == "short" and row:
            row.pop()
        elif how == "long":
            row.append("more")
        elif how == "twice":
            table.append(list(row))
        elif how == "column" and table:
            place = draw(st.integers(0, max(len(table[0]) - 1, 0)))
            for line in table:
                del line[place : place + 1]
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=draw(st.sampled_from(",,,;\t"))).writerows(table)
    code = draw(st.sampled_from(("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252")))
    raw = stream.getvalue().encode(code, "replace")
    return bytes(draw(damaged_bytes(raw))) if draw(st.integers(0, 9)) == 0 else raw


@st.composite
def damaged_zip(draw: Draw, raw: bytes) -> bytes:
    """Return an archive of which one member is damaged or gone, or whose bytes are damaged."""
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    chosen = draw(st.sampled_from(sorted(members)))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in members.items():
            if name != chosen:
                archive.writestr(name, data)
            elif draw(st.integers(0, 3)):
                archive.writestr(name, draw(damaged_bytes(data)))
    whole = stream.getvalue()
    return bytes(draw(damaged_bytes(whole))) if draw(st.integers(0, 4)) == 0 else whole
