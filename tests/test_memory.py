"""Memory that ran out is known by what any library says of it."""

import errno

import pytest
import torch

from napari_xmag.memory import out_of_memory


def led_to(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "whatever the language says"),
        RuntimeError("can't start new thread"),
        led_to(ValueError("odd"), led_to(KeyError("x"), MemoryError())),
    ],
)
def test_memory_that_ran_out(error: Exception) -> None:
    assert out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shape mismatch"),
        OSError(errno.ENOSPC, "No space left on device"),
        ImportError("No module named torch"),
        ValueError("not enough memory of a place"),
        KeyError("out of memory"),
    ],
)
def test_what_is_something_else(error: Exception) -> None:
    assert not out_of_memory(error)
