"""What a model folder states, held against what a model can be; needs no torch.

A folder may come from anyone. Nothing in it may name other files or places to load from, and no
number may make the program take memory or time without end.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xmag.nets.heads.patch_classifier import NOT_TAUGHT
from napari_xmag.nets.info import EMBEDDINGS, LEAST_LAYERS

PATCH_CLASSIFIER = "patch_classifier"
"""The kind of a head that examples taught; one without a kind is gated attention."""

Arrays = Mapping[str, NDArray[Any]]

_ARCHITECTURE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
# What timm understands of a network; all else could load weights from elsewhere.
_NETWORK = frozenset(
    {"tag", "fixed_input_size", "interpolation", "first_conv", "classifier", "custom_load"}
    | {"input_size", "pool_size", "crop_pct", "crop_mode", "mean", "std", "num_classes"}
    | {"license", "test_input_size", "test_crop_pct", "min_input_size"}
)
_LOADS = frozenset(
    {"pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"}
    | {"pretrained_strict", "pretrained_filter_fn", "pretrained_model_args"}
)
_MOST_NUMBER = 65_536
_MOST_DEPTH = 512
_MOST_ITEMS = 64
_DEEP = re.compile(r"depth|layers|blocks|num_reps", re.IGNORECASE)
_MOST_CELLS, _MOST_LAYERS = 64, 64


def require_network(config: Mapping[str, Any]) -> None:
    """Check what config.json states of the network itself.

    Raises
    ------
    ValueError
        When it is no plain network of timm's.
    """
    architecture = config.get("architecture")
    if not isinstance(architecture, str) or not _ARCHITECTURE.fullmatch(architecture):
        raise ValueError(f"architecture {_short(architecture)}, which is not the name of a network")
    arguments = config.get("model_args", {})
    if not isinstance(arguments, dict):
        raise ValueError(f"model_args {_short(arguments)}")
    for name, value in arguments.items():
        if name in _LOADS:
            raise ValueError(f"model_args that load something ({name})")
        _require_plain(name, value)
    stated = config.get("pretrained_cfg", {})
    unknown = sorted(set(stated) - _NETWORK) if isinstance(stated, dict) else ["no object"]
    if unknown or stated.get("custom_load"):
        words = ", ".join(unknown) or "custom_load"
        raise ValueError(f"a pretrained_cfg with {words[:100]}")


def require_readout(xmag: Mapping[str, Any]) -> None:
    """Check how the network is read out.

    Raises
    ------
    KeyError, ValueError
        When a value is missing or cannot be.
    """
    _require_whole("cells", xmag["cells"], _MOST_CELLS)
    _require_whole("layers", xmag.get("layers", 1), _MOST_LAYERS)
    _require_whole("tile_px", xmag["tile_px"], _MOST_NUMBER)
    if xmag["embedding"] not in EMBEDDINGS:
        raise ValueError(f"embedding {_short(xmag['embedding'])}")
    if xmag.get("layers", 1) < LEAST_LAYERS[xmag["embedding"]]:
        raise ValueError("embedding avg+std of one layer")
    for name in ("mean", "std"):
        values = xmag[name]
        if not (isinstance(values, list) and len(values) == 3 and all(map(_is_number, values))):
            raise ValueError(f"{name} {_short(values)}")
        if name == "std" and min(values) <= 0:
            raise ValueError(f"std {values}")
    if not (isinstance(xmag["classes"], list) and all(isinstance(c, str) for c in xmag["classes"])):
        raise ValueError(f"classes {_short(xmag['classes'])}")


def require_head_tensors(xmag: Mapping[str, Any], head: Arrays, range_of: Arrays) -> None:
    """Check the tensors of the head and of the training range against what is stated.

    Raises
    ------
    KeyError, ValueError
        When a name, a shape or a value does not fit.
    """
    if xmag["head"].get("kind") == PATCH_CLASSIFIER:
        _require_patch_classifier(xmag, head)
    else:
        _require_attention(xmag, head)
    _require_range(xmag, int(xmag["head"]["dim"]), range_of)


def stated_colors(xmag: Mapping[str, Any]) -> tuple[tuple[int, int, int], ...]:
    """Return the colours of the classes; none where they are not stated.

    Raises
    ------
    ValueError
        When they are no colours, or not one for each class.
    """
    stated = xmag.get("colors", [])
    if not isinstance(stated, list) or len(stated) not in (0, len(xmag["classes"])):
        raise ValueError(f"colors {_short(stated)}")
    for color in stated:
        whole = isinstance(color, list) and all(type(c) is int and 0 <= c <= 255 for c in color)
        if not whole or len(color) != 3:
            raise ValueError(f"color {_short(color)}")
    return tuple((red, green, blue) for red, green, blue in stated)


def _require_patch_classifier(xmag: Mapping[str, Any], head: Arrays) -> None:
    sizes = xmag["head"]
    counts = {name: sizes[name] for name in ("dim", "components", "classes", "examples")}
    for name, value in counts.items():
        _require_whole(f"head {name}", value, _MOST_NUMBER)
    dim, components, classes, examples = counts.values()
    if classes + 1 != len(xmag["classes"]) or xmag["classes"][-1] != NOT_TAUGHT:
        raise ValueError(f"a head for {classes} classes and {NOT_TAUGHT!r} where others are named")
    # models of before this switch have none
    switches = sizes["context"], sizes["by_slide"], sizes.get("spreading", False)
    if any(type(switch) is not bool for switch in switches):
        raise ValueError("context, by_slide and spreading that are not true or false")
    least, spreading = sizes["least_likeness"], switches[2]
    if not (_is_number(least) and least > 0):
        raise ValueError(f"least_likeness {_short(least)}")
    length = components * (1 + switches[0])
    wanted = {
        **{"space.mean": (dim,), "space.scale": (dim,), "space.basis": (dim, components)},
        **{"weights": (length, classes), "bias": (classes,), "examples": (examples, length)},
        **({"labels": (examples,)} if spreading else {}),
    }
    _require_tensors(wanted, head)
    if spreading and not np.isin(head["labels"], np.arange(classes)).all():
        raise ValueError("labels that are none of the classes")
    if head["space.scale"].min() <= 0:
        raise ValueError("space.scale that is not positive")


def _require_attention(xmag: Mapping[str, Any], head: Arrays) -> None:
    sizes = xmag["head"]
    dim, hidden, classes = (sizes[name] for name in ("dim", "hidden", "classes"))
    for name, value in (("dim", dim), ("hidden", hidden), ("classes", classes)):
        _require_whole(f"head {name}", value, _MOST_NUMBER)
    if classes != len(xmag["classes"]):
        raise ValueError(f"a head for {classes} classes where {len(xmag['classes'])} are named")
    wanted = {
        **{"value.weight": (hidden, dim), "value.bias": (hidden,)},
        **{"gate.weight": (hidden, dim), "gate.bias": (hidden,)},
        **{"attend.weight": (1, hidden), "score.weight": (classes, dim), "score.bias": (classes,)},
    }
    _require_tensors(wanted, head)


def _require_range(xmag: Mapping[str, Any], dim: int, range_of: Arrays) -> None:
    if xmag["training_range"] is None:
        return
    _require_tensors(dict.fromkeys(("mean", "between", "within"), (dim,)), range_of)
    if min(range_of["between"].min(), range_of["within"].min()) < 0:
        raise ValueError("a training range of negative width")
    stated = xmag["training_range"]
    limit, slides = stated["limit"], stated["slides"]
    if not (_is_number(limit) and limit > 0 and type(slides) is int and slides > 0):
        raise ValueError(f"a training range of {_short(slides)} slides, limit {_short(limit)}")


def _require_tensors(wanted: Mapping[str, tuple[int, ...]], found: Arrays) -> None:
    if wanted.keys() != found.keys():
        raise ValueError(f"tensors {', '.join(sorted(wanted.keys() ^ found.keys()))[:200]}")
    for name, shape in wanted.items():
        if found[name].shape != shape:
            raise ValueError(f"{name} of shape {found[name].shape}, where {shape} is stated")
        if found[name].dtype.kind != "f" or not np.isfinite(found[name]).all():
            raise ValueError(f"{name} holds values that are not finite numbers")


def _require_plain(name: str, value: Any) -> None:
    """Allow numbers, names, and short flat lists or tables of them."""
    items = value if isinstance(value, list) else [value]
    items = list(value.values()) if isinstance(value, dict) else items
    most = _MOST_DEPTH if _DEEP.search(name) else _MOST_NUMBER
    for item in items:
        number = isinstance(item, int | float) and math.isfinite(item) and abs(item) <= most
        if not (number or item is None or (isinstance(item, str) and len(item) <= _MOST_ITEMS)):
            raise ValueError(f"{name[:100]} = {_short(value)} in model_args")
    if len(items) > _MOST_ITEMS:
        raise ValueError(f"{len(items)} values of {name[:100]} in model_args")


def _require_whole(name: str, value: Any, most: int) -> None:
    if type(value) is not int or not 1 <= value <= most:
        raise ValueError(f"{name} {_short(value)}, where 1 to {most} is possible")


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
