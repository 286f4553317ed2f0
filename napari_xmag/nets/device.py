"""Where and how tiles are encoded: device, precision, and a batch size that fits."""

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_xmag.errors import ConfigError, ModelError
from napari_xmag.memory import out_of_memory
from napari_xmag.nets.info import Granularity, LearningPrecision, Precision
from napari_xmag.nets.memory import keep_freed_memory
from napari_xmag.nets.student import Student, StudentOutput
from napari_xmag.nets.upload import upload

_log = logging.getLogger(__name__)

NetworkT = TypeVar("NetworkT", bound=nn.Module)

# Larger batches are slower on a CPU: the activations leave the caches (measured on MobileNetV1).
_CPU_BATCH = 8
# Fewer tiles at once leave a GPU idle; where they do not fit, the batch is halved.
_FIRST_TRIAL = 64
_LARGEST_BATCH = 1024
_WORTHWHILE = 1.1


def available_devices() -> tuple[str, ...]:
    """Return the names of the devices this machine has, the fastest first."""
    names = []
    if torch.cuda.is_available():
        names += [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("mps")
    return (*names, "cpu")


def pick_device(name: str = "auto") -> torch.device:
    """Return a device by name.

    Parameters
    ----------
    name
        "auto" for the fastest there is (CUDA, then MPS, then CPU), or a name as torch knows it.

    Raises
    ------
    ConfigError
        When there is no such device; the ones there are, are named.
    """
    known = available_devices()
    if name == "auto":
        name = known[0]
    if name == "cuda" and known[0].startswith("cuda"):
        name = known[0]  # with its number, as tensors name it
    if name not in known:
        raise ConfigError(
            expected=f"the device {name!r}",
            found=f"only {', '.join(known)} on this machine",
            hint="Choose one of these, or auto.",
        )
    device = torch.device(name)
    if device.type == "cpu":
        keep_freed_memory()
    return device


def pick_dtype(device: torch.device, precision: LearningPrecision = "auto") -> torch.dtype:
    """Return the number type in which a device computes; auto: the fastest that is safe.

    CUDA computes in bfloat16 where the card does so natively, else in float16. A CPU with bfloat16
    instructions uses them: MobileNetV1 then takes little more than half the time, and features
    keep a cosine above 0.999 to those in float32. Everything else computes in float32.
    """
    if precision != "auto":
        named: torch.dtype = getattr(torch, precision)
        return named
    if device.type == "cuda":
        major, _ = torch.cuda.get_device_capability(device)
        return torch.bfloat16 if major >= 8 else torch.float16
    if device.type == "cpu" and _cpu_has_bfloat16():
        return torch.bfloat16
    return torch.float32


def autocast(
    device: torch.device, dtype: torch.dtype | None = None
) -> AbstractContextManager[object]:
    """Return a context for mixed precision, which does nothing in float32.

    Parameters
    ----------
    device
        Where the network runs.
    dtype
        As from `pick_dtype`, which chooses it when it is None.
    """
    dtype = pick_dtype(device) if dtype is None else dtype
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)


class DeviceBatch:
    """How many tiles are encoded at once; shrinks when the memory does not suffice.

    Parameters
    ----------
    device
        Where the student runs.
    size
        Tiles at once; None for a size that suits the device.
    precision
        "auto" (see `pick_dtype`) or "float32".

    Attributes
    ----------
    size
        Tiles at once, now.
    halvings
        How often the memory did not suffice.
    fill
        Whether fewer tiles are filled up to the size: on CUDA every other size would be planned
        anew, and a compiled network is made for one size.
    """

    def __init__(
        self, device: torch.device, size: int | None = None, precision: Precision = "auto"
    ) -> None:
        if size is not None and size < 1:
            raise ConfigError(
                expected="a batch size of at least 1", found=str(size), hint="Leave it on auto."
            )
        self.device = device
        self.dtype = pick_dtype(device, precision)
        self.size = size or (_CPU_BATCH if device.type == "cpu" else _FIRST_TRIAL)
        self.halvings = 0
        self.fill = device.type == "cuda"

    @classmethod
    def find(
        cls, student: Student, device: torch.device, precision: Precision = "auto"
    ) -> "DeviceBatch":
        """Find a batch size by trying: doubled while it fits and is clearly faster.

        The student must be on the device. On a CPU nothing is tried.
        """
        batch = cls(device, precision=precision)
        if device.type == "cpu":
            return batch
        batch.size = _FIRST_TRIAL
        rate = batch._rate(student)
        while rate > 0 and batch.size < _LARGEST_BATCH:
            trial = cls(device, 2 * batch.size, precision)
            doubled = trial._rate(student)
            if doubled < _WORTHWHILE * rate:
                break
            batch, rate = trial, doubled
        _log.info("Encoding %d tiles at once on %s", batch.size, device)
        return batch

    def halve(self, error: BaseException) -> None:
        """Take half as many tiles from now on.

        Raises
        ------
        ModelError
            When a single tile does not fit.
        """
        if self.size == 1:
            raise ModelError(
                expected="memory to encode a single tile",
                found=f"too little on {self.device} ({error})",
                hint="Close other programs, or choose the device cpu.",
                causes=[error],
            )
        self.size //= 2
        self.halvings += 1
        _log.warning("Out of memory on %s: encoding %d tiles at once", self.device, self.size)

    def _rate(self, student: Student) -> float:
        """Tiles per second with this size; 0 when it does not fit."""
        side = student.spec.tile_px
        noise = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), dtype=np.uint8)
        pixels = np.repeat(noise, self.size, axis=0)
        trial = DeviceBatch(self.device, self.size)
        trial.dtype = self.dtype
        encode(student, pixels, trial).cpu()
        start = time.perf_counter()
        encode(student, pixels, trial).cpu()
        seconds = time.perf_counter() - start
        return 0.0 if trial.halvings else self.size / seconds


def ready_on(network: NetworkT, device: torch.device) -> NetworkT:
    """Return a network on a device, in eval mode and in the memory layout that is fastest there.

    Convolutions take channels-last images about a third faster on CPUs (measured), and so do
    tensor cores; tiles come in that layout anyway.

    Returns
    -------
    The network itself where it is all of that already, else a copy: whoever owns it finds it where
    and how it was.
    """
    layout = torch.contiguous_format if device.type == "mps" else torch.channels_last
    if _is_ready(network, device, layout):
        return network
    return deepcopy(network).to(device).to(memory_format=layout).eval()


def _is_ready(network: nn.Module, device: torch.device, layout: torch.memory_format) -> bool:
    tensors = (*network.parameters(), *network.buffers())
    return (
        not any(module.training for module in network.modules())
        and all(tensor.device == device for tensor in tensors)
        and all(
            tensor.is_contiguous(memory_format=layout) for tensor in tensors if tensor.ndim == 4
        )
    )


def encode(student: Student, pixels: NDArray[np.uint8], batch: DeviceBatch | None = None) -> Tensor:
    """Encode tiles without gradients, backing off when memory runs out.

    Parameters
    ----------
    student
        On ``batch.device`` and in eval mode (see `ready_on`).
    pixels
        uint8 (T, tile_px, tile_px, 3), any number of tiles.
    batch
        Keeps its size from call to call; by default one for the student's device.

    Returns
    -------
    Float32 (T, D) on the device.

    Raises
    ------
    ModelError
        When not even one tile fits into memory.
    """
    return _encode(student, pixels, batch, _embedding, (student.dim,))


def encode_bag(
    student: Student,
    pixels: NDArray[np.uint8],
    batch: DeviceBatch | None = None,
    granularity: Granularity = "tiles",
) -> Tensor:
    """Encode tiles into what a head attends over; see `encode`.

    Returns
    -------
    Float32 (T, N, D) on the device: for each tile its embedding (N is 1), or its cells row by row.
    """
    if granularity == "tiles":
        return encode(student, pixels, batch).unsqueeze(1)
    shape = (student.spec.cells**2, student.cell_dim)
    return _encode(student, pixels, batch, _cells, shape)


def encode_both(
    student: Student, pixels: NDArray[np.uint8], batch: DeviceBatch | None = None
) -> tuple[Tensor, Tensor]:
    """Encode tiles once into their embeddings and their cells; see `encode`.

    Returns
    -------
    Float32 (T, D) and (T, cells², D') on the device.
    """
    cells = student.spec.cells**2
    width = student.dim + cells * student.cell_dim
    encoded = _encode(student, pixels, batch, _both, (width,))
    shape = (len(encoded), cells, student.cell_dim)
    return encoded[:, : student.dim], encoded[:, student.dim :].reshape(shape)


def _embedding(output: StudentOutput) -> Tensor:
    return output.embedding


def _cells(output: StudentOutput) -> Tensor:
    return output.cells.flatten(2).transpose(1, 2)


def _both(output: StudentOutput) -> Tensor:
    return torch.cat([_embedding(output), _cells(output).flatten(1)], dim=1)


def _encode(
    student: Student,
    pixels: NDArray[np.uint8],
    batch: DeviceBatch | None,
    read: Callable[[StudentOutput], Tensor],
    shape: tuple[int, ...],
) -> Tensor:
    """Encode tiles into what ``read`` takes of them, each of that shape."""
    batch = batch or DeviceBatch(student.scale.device)
    parts = [torch.empty(0, *shape, device=batch.device)]
    done = 0
    while done < len(pixels):
        part = _try_encode(student, pixels[done : done + batch.size], batch, read)
        # Freed here, where no traceback keeps the failed attempt's tensors alive any more.
        if isinstance(part, BaseException):
            _empty_cache(batch.device)
            batch.halve(part)
            continue
        parts.append(part)
        done += len(part)
    return torch.cat(parts)


def _try_encode(
    student: Student,
    pixels: NDArray[np.uint8],
    batch: DeviceBatch,
    read: Callable[[StudentOutput], Tensor],
) -> Tensor | BaseException:
    try:
        with torch.inference_mode(), autocast(batch.device, batch.dtype):
            tiles = upload(pixels, batch.device)
            if batch.fill:
                missing = batch.size - len(pixels)
                tiles = nn.functional.pad(tiles, (0, 0, 0, 0, 0, 0, 0, missing))
            # (B, H, W, 3) seen as (B, 3, H, W) is channels-last without a copy.
            output: StudentOutput = student(tiles.permute(0, 3, 1, 2))
            return read(output)[: len(pixels)].float()
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return error.with_traceback(None)


def _empty_cache(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _cpu_has_bfloat16() -> bool:
    """Say whether the CPU multiplies bfloat16 itself; emulation would be slower than float32."""
    # Told by newer torch only; without it float32 is the safe answer.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
