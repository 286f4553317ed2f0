"""The student: any timm backbone that gives one embedding and a 4×4 grid of cells for each tile."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_xmag.errors import ModelError
from napari_xmag.filenames import CONFIG
from napari_xmag.files import parse_json
from napari_xmag.nets.info import EMBEDDINGS, LEAST_LAYERS, Embedding
from napari_xmag.nets.weights import hub_folder, require_safetensors, timm_weights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Keeps the gradient of a standard deviation finite where a map is the same everywhere.
_LEAST_VARIANCE = 1e-5

BUILD_ERRORS = (
    *(RuntimeError, ValueError, TypeError, AssertionError, LookupError, OSError),
    *(AttributeError, ArithmeticError, MemoryError),
)
"""What timm raises for a network that cannot be."""


@dataclass(frozen=True, slots=True)
class StudentSpec:
    """What a student expects of its tiles and how it is read out.

    Parameters
    ----------
    mpp
        µm per pixel of the tiles it sees (2.0 for 5x).
    tile_px
        Side of a tile in pixels.
    mean, std
        Normalization of RGB in 0..1, done inside the student.
    cells
        Side of the grid of cells into which the token grid is averaged, exactly.
    embedding
        "cls" for the class token of a transformer, "avg" for the mean over the token grid;
        "avg+std" adds, behind the mean of each layer before the last, the standard deviation over
        its grid: how uneven a texture is, at hardly any cost (pooled statistics, as in speaker
        embeddings, Snyder et al. 2017, doi 10.21437/Interspeech.2017-620). Cells stay means.
    layers
        How many of the last layers are read side by side, the deepest last: blocks of a
        transformer, stages of other networks. Earlier ones tell of texture and nuclei what the
        last one has put aside, at no cost (as in the linear probes of DINOv2, Oquab et al. 2023,
        arXiv 2304.07193).

    Raises
    ------
    ModelError
        When a value cannot be.
    """

    mpp: float
    tile_px: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    cells: int = 4
    embedding: Embedding = "avg"
    layers: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", tuple(float(value) for value in self.mean))
        object.__setattr__(self, "std", tuple(float(value) for value in self.std))
        sizes_fit = 0 < self.mpp < math.inf and min(self.tile_px, self.cells, self.layers) > 0
        finite = all(map(math.isfinite, (*self.mean, *self.std)))
        colors_fit = finite and len(self.mean) == len(self.std) == 3 and min(self.std) > 0
        if not (sizes_fit and colors_fit and self.embedding in EMBEDDINGS):
            raise ModelError(
                expected="positive mpp, tile_px, cells, layers and std, and one of the embeddings "
                + ", ".join(EMBEDDINGS),
                found=str(self),
                hint="Correct the student's specification.",
            )
        if self.layers < LEAST_LAYERS[self.embedding]:
            raise ModelError(
                expected="two layers or more for the embedding avg+std, which reads the standard "
                "deviations of those before the last",
                found="one layer",
                hint="Set layers to 2 or 3, or embedding to avg.",
            )

    @classmethod
    def stated(cls, section: Mapping[str, Any]) -> "StudentSpec":
        """Return the specification that a section of a config.json states.

        Raises
        ------
        KeyError
            When it lacks one of the values.
        """
        return cls(
            mpp=section["mpp"],
            tile_px=section["tile_px"],
            mean=tuple(section["mean"]),
            std=tuple(section["std"]),
            cells=section["cells"],
            embedding=section["embedding"],
            layers=section.get("layers", 1),
        )


class _Layer(NamedTuple):
    """What one layer says of B tiles: prefix tokens (B, P, D) and the map (B, D, grid, grid)."""

    prefix: Tensor
    grid: Tensor


class StudentOutput(NamedTuple):
    """What the student says of B tiles.

    Attributes
    ----------
    embedding
        Float (B, D), one vector for each tile.
    cells
        Float (B, D', cells, cells), the token grid averaged exactly; row 0 is the tile's top.
    """

    embedding: Tensor
    cells: Tensor


def build_backbone(source: str, *, pretrained: bool | Path = False, **model_args: Any) -> nn.Module:
    """Build a timm network without its classifier.

    Parameters
    ----------
    source
        A timm name, ``local-dir:<folder>`` or ``hf-hub:<owner>/<name>``. Only safetensors weights
        are read. The last two always load their weights.
    pretrained
        Whether a plain timm name downloads its published weights, or a safetensors file of them.
    model_args
        Passed on to timm (img_size, reg_tokens, ...).

    Raises
    ------
    ModelError
        When the source is unknown or its weights are missing, pickled or do not fit.
    """
    import timm

    kind, _, place = source.partition(":")
    try:
        if kind == "hf-hub":
            source = f"local-dir:{hub_folder(place)}"
        elif kind == "local-dir":
            require_safetensors(Path(place))
        elif isinstance(pretrained, Path):
            overlay = {"file": str(pretrained), "custom_load": False}
            model_args["pretrained_cfg_overlay"] = overlay
        elif pretrained:
            model_args["pretrained_cfg_overlay"] = timm_weights(source)
        weights = bool(pretrained) or source.startswith("local-dir:")
        model_args["num_classes"] = 0  # timm records another one in the folders that it saves
        backbone = timm.create_model(source, pretrained=weights, **model_args)
    except BUILD_ERRORS as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(
            expected=f"the network {source}",
            found=f"that timm cannot build it ({error})",
            hint="Check the name and its settings with timm.list_models(), or update timm.",
            causes=[error],
        ) from error
    return cast(nn.Module, backbone)


def build_student(
    source: str, spec: StudentSpec, *, pretrained: bool = False, **model_args: Any
) -> "Student":
    """Build a student from a timm name, a local folder or the hub; see `build_backbone`.

    A transformer of fixed input size is built for the tile size of the specification.
    """
    config, model_args = _published(source, model_args)
    fixed = config.get("fixed_input_size") and not model_args.get("dynamic_img_size")
    if fixed:
        model_args.setdefault("img_size", spec.tile_px)
    backbone = build_backbone(source, pretrained=pretrained, **model_args)
    return Student(backbone, spec, model_args=model_args)


def recorded_args(backbone: nn.Module, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what timm needs besides the name to build this network again.

    A network from a folder was built with that folder's arguments too; timm keeps them.
    """
    kept = dict(getattr(backbone, "_model_args", None) or {})
    kept |= {key: value for key, value in given.items() if key != "pretrained_cfg_overlay"}
    kept.pop("num_classes", None)
    return kept


class Student(nn.Module):
    """A timm backbone read out as one embedding and a grid of cells for each tile.

    Normalization happens inside, so what goes in is the tile as it was read. Transformers (with or
    without a class token and registers), convolutional networks and hierarchical transformers
    serve alike: the tokens or feature maps of their last layers are averaged in equal blocks to
    ``spec.cells`` a side (the local mapping of XMAG, Su et al. 2025, arXiv 2509.23097).

    Parameters
    ----------
    backbone
        A timm network.
    spec
        The tiles it takes and how it is read out.
    model_args
        What timm needs besides the name to build the backbone again; taken from the backbone
        where timm keeps it.

    Attributes
    ----------
    dim, cell_dim
        Length of the embedding and of a cell.
    grid
        Side of the last layer's token grid before it is averaged to cells.

    Raises
    ------
    ModelError
        When the token grid of such a tile cannot be averaged exactly to the cells (the message
        names tile sizes that can), or the network has not so many layers to read.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        spec: StudentSpec,
        *,
        model_args: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.spec = spec
        self.model_args = recorded_args(backbone, model_args or {})
        self._prefix = int(getattr(backbone, "num_prefix_tokens", 0))
        self._require_class_token()
        self._earlier = self._earlier_layers()
        std = torch.tensor(spec.std).view(1, 3, 1, 1)
        mean = torch.tensor(spec.mean).view(1, 3, 1, 1)
        # Not persistent: the state is the backbone's alone, the spec lives in the config.
        self.register_buffer("scale", 1 / std, persistent=False)
        self.register_buffer("shift", -mean / std, persistent=False)
        self.dim, self.cell_dim, self.grid = self._measure()

    def __repr__(self) -> str:
        tiles = f"tiles of {self.spec.tile_px} px at {self.spec.mpp:g} µm/px"
        return f"<{type(self).__name__} {self.architecture}: {tiles}, {self.dim} features>"

    @property
    def architecture(self) -> str:
        """Name of the backbone in timm."""
        return str(cast(Any, self.backbone).pretrained_cfg["architecture"])

    def forward(self, pixels: Tensor) -> StudentOutput:
        """Encode tiles.

        Parameters
        ----------
        pixels
            (B, 3, tile_px, tile_px) RGB: uint8 in 0..255, or float in 0..1.
        """
        layers = self._layers(self._normalized(pixels))
        embeddings = self._embeddings(layers)
        # Transformers made for average pooling keep their last norm here.
        norm = getattr(self.backbone, "fc_norm", None)
        if norm is not None:
            embeddings[-1] = norm(embeddings[-1])
        cells = [
            functional.avg_pool2d(layer.grid, layer.grid.shape[-1] // self.spec.cells)
            for layer in layers
        ]
        return StudentOutput(torch.cat(embeddings, 1), torch.cat(cells, 1))

    def _normalized(self, pixels: Tensor) -> Tensor:
        byte = pixels.dtype == torch.uint8
        scale = self.scale / 255 if byte else self.scale
        return torch.addcmul(self.shift, pixels.to(self.scale.dtype), scale)

    def _layers(self, images: Tensor) -> list[_Layer]:
        """Return what the layers that are read say, the deepest last."""
        backbone = cast(Any, self.backbone)
        if not self._earlier:
            return [self._split(backbone.forward_features(images))]
        asked: dict[str, Any] = {"indices": self._earlier, "norm": True, "output_fmt": "NCHW"}
        if self._prefix:
            asked["return_prefix_tokens"] = True
        tokens, between = backbone.forward_intermediates(images, **asked)
        earlier = [
            _Layer(found[1], found[0]) if self._prefix else _without_prefix(found)
            for found in between
        ]
        return [*earlier, self._split(tokens)]

    def _split(self, tokens: Tensor) -> _Layer:
        """Part prefix tokens and the map of the last layer."""
        if tokens.ndim == 4:
            channels_last = str(getattr(self.backbone, "output_fmt", "NCHW")).endswith("NHWC")
            return _without_prefix(tokens.permute(0, 3, 1, 2) if channels_last else tokens)
        patches = tokens[:, self._prefix :]
        side = round(patches.shape[1] ** 0.5)
        if side * side != patches.shape[1]:
            raise _unsuitable(f"{patches.shape[1]} tokens, which form no square grid")
        grid = patches.transpose(1, 2).reshape(patches.shape[0], -1, side, side)
        return _Layer(tokens[:, : self._prefix], grid)

    def _embeddings(self, layers: Sequence[_Layer]) -> list[Tensor]:
        """Return what is said of whole tiles, in parts (B, D), the last layer's mean at the end."""
        if self.spec.embedding == "cls":
            return [layer.prefix[:, 0] for layer in layers]
        means = [layer.grid.mean((2, 3)) for layer in layers]
        if self.spec.embedding == "avg":
            return means
        earlier = zip(means[:-1], layers[:-1], strict=True)
        pairs = [(mean, _deviation(layer.grid, mean)) for mean, layer in earlier]
        return [*chain.from_iterable(pairs), means[-1]]

    def _earlier_layers(self) -> list[int]:
        """Return the indices in timm of the layers that are read before the last one."""
        count, wanted = len(getattr(self.backbone, "feature_info", ())), self.spec.layers
        if wanted == 1:
            return []
        if wanted > count or not hasattr(self.backbone, "forward_intermediates"):
            raise ModelError(
                expected=f"a network of which {wanted} layers can be read",
                found=f"{type(self.backbone).__name__} with {count}",
                hint="Set layers to 1, or choose another network.",
            )
        return list(range(count - wanted, count - 1))

    def _require_class_token(self) -> None:
        if self.spec.embedding == "cls" and getattr(self.backbone, "cls_token", None) is None:
            raise ModelError(
                expected="a network with a class token, for the embedding 'cls'",
                found=f"{type(self.backbone).__name__} without one",
                hint="Set embedding to 'avg'.",
            )

    def _measure(self) -> tuple[int, int, int]:
        """Encode one black tile to learn the sizes, and refuse a grid that cannot be averaged."""
        spec = self.spec
        parameter = next(self.backbone.parameters())
        tile = torch.zeros(1, 3, spec.tile_px, spec.tile_px, device=parameter.device)
        training = self.backbone.training
        self.backbone.eval()
        try:
            with torch.no_grad():
                layers = self._layers(tile.to(parameter.dtype))
        except (AssertionError, RuntimeError) as error:
            raise _unsuitable(f"an error ({error})", causes=[error]) from error
        finally:
            self.backbone.train(training)
        self._require_exact(layers)
        dim = sum(part.shape[1] for part in self._embeddings(layers))
        return dim, sum(layer.grid.shape[1] for layer in layers), layers[-1].grid.shape[-1]

    def _require_exact(self, layers: Sequence[_Layer]) -> None:
        """Cells are exact when every token covers the same whole number of pixels."""
        rows, columns = layers[-1].grid.shape[-2:]
        spec, stride = self.spec, self._stride(columns)
        whole = columns % spec.cells == 0 and columns * stride == spec.tile_px
        # Where the last map is exact, earlier ones are, as their tokens cut its tokens evenly.
        even = all(side % columns == 0 for layer in layers for side in layer.grid.shape[-2:])
        if rows == columns and whole and even:
            return
        step = stride * spec.cells
        below = spec.tile_px // step * step
        sizes = " or ".join(str(size) for size in (below, below + step) if size > 0)
        raise ModelError(
            expected=f"a token grid that averages exactly to {spec.cells}×{spec.cells} cells",
            found=f"{rows}×{columns} tokens of {stride} px for a tile of {spec.tile_px} px",
            hint=f"Use tiles of {sizes} px: multiples of {step} px are exact for this network.",
        )

    def _stride(self, columns: int) -> int:
        info = getattr(self.backbone, "feature_info", None)
        if isinstance(info, list) and info:
            return int(info[-1]["reduction"])
        return round(self.spec.tile_px / columns)


def _deviation(grid: Tensor, mean: Tensor) -> Tensor:
    """Return the standard deviation (B, D) over a map (B, D, H, W) with these means (B, D)."""
    centered = (grid - mean[:, :, None, None]).float()  # half precision cannot hold large squares
    return (centered.square().mean((2, 3)) + _LEAST_VARIANCE).sqrt().to(grid.dtype)


def _without_prefix(grid: Tensor) -> _Layer:
    return _Layer(grid.new_empty(grid.shape[0], 0, grid.shape[1]), grid)


def _published(source: str, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what a source states of its input, and its arguments under the given ones."""
    import timm

    kind, _, place = source.partition(":")
    if kind not in ("hf-hub", "local-dir"):
        known = timm.get_pretrained_cfg(source) if timm.is_model(source) else None
        return ({} if known is None else known.to_dict()), dict(given)
    folder = hub_folder(place) if kind == "hf-hub" else Path(place)
    require_safetensors(folder)
    config = parse_json((folder / CONFIG).read_text(encoding="utf-8"))
    return config.get("pretrained_cfg", config), config.get("model_args", {}) | given


def _unsuitable(found: str, causes: list[Exception] | None = None) -> ModelError:
    return ModelError(
        expected="a network that gives a square grid of tokens or a feature map for the tile",
        found=found,
        hint="Choose another network or tile size.",
        causes=causes or (),
    )
