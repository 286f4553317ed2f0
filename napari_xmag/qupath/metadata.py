"""What QuPath keeps of an analysis beside an image: the answer, the model, the notice."""

import re
from collections.abc import Collection, Iterable, Mapping
from itertools import count

from napari_xmag._about import NOTICE
from napari_xmag.analyze.result import SlideResult
from napari_xmag.files import json_text, parse_json

PREFIX = "XMAG "
"""How the keys of our metadata begin."""

_PREDICTION, _MODEL, _WARNINGS, _DATE, _NOTICE = (
    f"{PREFIX}{name}" for name in ("prediction", "model", "warnings", "analyzed", "notice")
)
_CLASSES = f"{PREFIX}classes"
"""Lists the probabilities that we wrote, as JSON: what else begins like our keys is the user's."""

_OWN = {_PREDICTION, _MODEL, _WARNINGS, _DATE, _NOTICE, _CLASSES}
_SHARE = re.compile(r"[01]\.\d{3}")
_LINE = "XMAG: "
_FAILURE = "The analysis failed"


def image_metadata(result: SlideResult) -> dict[str, str]:
    """Return keys and values for the metadata of an image in a project.

    Everything is there in each case: a result that abstains leaves the words "No reliable
    prediction", not the prediction of an earlier run.
    """
    shares = [
        (f"{PREFIX}{' '.join(name.split())}", f"{share:.3f}")
        for name, share in zip(result.classes, result.probabilities, strict=False)
    ]
    return {
        _PREDICTION: result.headline,
        **_freed(shares, _OWN),
        _MODEL: f"{result.model['name']} ({str(result.model['sha256'])[:12]})",
        _WARNINGS: " ".join(flag.words for flag in result.flags) or "none",
        _DATE: result.created,
        _NOTICE: NOTICE,
    }


def failure_metadata(reason: str) -> dict[str, str]:
    """Return keys and values for an image whose analysis failed: no earlier answer may stay."""
    return {_PREDICTION: _FAILURE, _WARNINGS: " ".join(reason.split()), _NOTICE: NOTICE}


def failure_description() -> str:
    """Return the line for the description of an image whose analysis failed."""
    return f"{_LINE}{_FAILURE}. {NOTICE}"


def with_metadata(
    old: Mapping[str, str], new: Mapping[str, str], description: str = ""
) -> dict[str, str]:
    """Return the metadata of an image with our keys replaced: none of an earlier run is left.

    Keys of the user's that begin like ours stay. Ours are the named ones, and those of classes that
    we have listed with these values; a class whose key the user has taken gets another.

    Parameters
    ----------
    description
        Of the image: our line in it proves what an earlier version wrote, which listed nothing.
    """
    ours = _own_keys(old, description)
    kept = {key: value for key, value in old.items() if key not in ours}
    named = {key: value for key, value in new.items() if key in _OWN}
    shares = _freed([(key, value) for key, value in new.items() if key not in _OWN], kept)
    listed = {_CLASSES: json_text(shares, compact=True)} if shares else {}
    return {**kept, **named, **shares, **listed}


def _own_keys(old: Mapping[str, str], description: str) -> set[str]:
    if _CLASSES in old:
        listed = _listed(str(old[_CLASSES]))
        return _OWN | {key for key in listed.keys() & old.keys() if listed[key] == old[key]}
    return _OWN | {key for key, value in old.items() if _was_ours(key, value, old, description)}


def _listed(text: str) -> Mapping[str, object]:
    try:
        listed = parse_json(text)
    except ValueError:  # somebody has changed it: it proves nothing
        return {}
    return listed if isinstance(listed, dict) else {}


def _was_ours(key: str, value: object, old: Mapping[str, str], description: str) -> bool:
    """Return whether a version that listed nothing wrote it: it named the class elsewhere, too."""
    if not key.startswith(PREFIX) or _SHARE.fullmatch(str(value)) is None:
        return False
    name = key.removeprefix(PREFIX).removeprefix("class ")
    lines = [line for line in description.split("\n") if _is_our_line(line)]
    said = any(f"{start}{name} {value}" in line for line in lines for start in ("(", ", "))
    return said or old.get(_PREDICTION) == name


def _freed(shares: Iterable[tuple[str, str]], taken: Collection[str]) -> dict[str, str]:
    """Return values under keys that are neither taken nor one another's."""
    wanted, found = list(shares), dict[str, str]()
    used = {*taken, *(key for key, _ in wanted)}
    for key, value in wanted:
        free = _free_key(key, used) if key in taken or key in found else key
        used.add(free)
        found[free] = value
    return found


def _free_key(key: str, used: Collection[str]) -> str:
    name = key.removeprefix(PREFIX).removeprefix("class ")
    more = (f"{PREFIX}class {name}{'' if number == 1 else f' {number}'}" for number in count(1))
    return next(free for free in more if free not in used)


def image_description(result: SlideResult) -> str:
    """Return the answer as one line for the description of an image."""
    shares = ", ".join(
        f"{name} {share:.3f}"
        for name, share in zip(result.classes, result.probabilities, strict=False)
    )
    model = result.model.get("display_name") or result.model["name"]
    numbers = f" ({shares})" if shares else ""
    return f"{_LINE}{result.headline}{numbers}, by {model}. {NOTICE}"


def with_description(old: str, line: str) -> str:
    """Return a description with our line at its end, in the place of an earlier one.

    All else stays as it is. Our line begins with ``XMAG:`` and ends with the notice.

    Parameters
    ----------
    line
        The new one; only the earlier one goes when empty.
    """
    kept = [text for text in old.split("\n") if not _is_our_line(text)] if old else []
    return "\n".join([*kept, line] if line else kept)


def _is_our_line(text: str) -> bool:
    return text.startswith(_LINE) and text.rstrip("\r").endswith(NOTICE)
