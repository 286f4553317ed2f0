"""Whether this machine could have a GPU, and a fast CPU, told without torch."""

import ctypes.util
import platform
import sys
from pathlib import Path

# NVIDIA on a desktop, in WSL and on a Jetson; AMD.
_LINUX_DEVICES = ("nvidia*", "dxg", "nvhost-gpu", "kfd")
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}
_CPU_INFO = Path("/proc/cpuinfo")


def accelerator_possible() -> bool:
    """Return whether there may be a device faster than the CPU; only torch can say if it works.

    Importing torch takes seconds, which a machine that cannot have a GPU is spared.
    """
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        return ctypes.util.find_library("nvcuda") is not None
    return any(next(Path("/dev").glob(name), None) for name in _LINUX_DEVICES)


def torch_is_loading() -> bool:
    """Return whether some thread imports torch right now."""
    torch = sys.modules.get("torch")
    return bool(getattr(getattr(torch, "__spec__", None), "_initializing", False))


def cpu_multiplies_bfloat16() -> bool:
    """Return whether the CPU has instructions for bfloat16; False where the system does not say."""
    try:
        text = _CPU_INFO.read_text(encoding="utf-8")
    except OSError:  # not Linux
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return bool(_BFLOAT16_FLAGS & set(flags.split()))
