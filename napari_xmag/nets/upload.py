"""Tiles on their way to the device, without holding up what it computes."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def upload(pixels: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Return tiles on a device, as the bytes that were read: the network normalizes them there.

    On CUDA they are copied from pinned memory in the stream of the calling thread, which does not
    wait: another thread's stream computes meanwhile.

    Parameters
    ----------
    pixels
        uint8 (T, H, W, 3).

    Returns
    -------
    uint8 (T, H, W, 3).
    """
    tiles = torch.from_numpy(np.ascontiguousarray(pixels))
    if device.type != "cuda":
        return tiles.to(device)
    # torch keeps pinned memory for the next batch, and gives it out only when the copy is done
    return tiles.pin_memory().to(device, non_blocking=True)
