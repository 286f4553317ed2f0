"""A student compiled for its device; needs a compiler (on CUDA: Triton)."""

import logging
import time
from copy import deepcopy

import numpy as np

from napari_xmag.nets.device import DeviceBatch, encode_bag
from napari_xmag.nets.info import Granularity
from napari_xmag.nets.student import Student

_log = logging.getLogger(__name__)

# What torch.compile raises: its own errors are RuntimeErrors.
_COMPILER_ERRORS = (RuntimeError, ImportError, OSError, AssertionError, TypeError, ValueError)


def compiled(student: Student, granularity: Granularity, batch: DeviceBatch) -> Student | None:
    """Return a compiled copy of a student, tried on one batch, which takes many seconds.

    Parameters
    ----------
    student
        Ready on the device; stays as it is.
    batch
        The network is made for its size alone: from now on it fills up what is smaller.

    Returns
    -------
    None, with the reason in the log, where this machine cannot compile it.
    """
    begun = time.perf_counter()
    own = deepcopy(student)
    side = student.spec.tile_px
    before, batch.fill = batch.fill, True
    try:
        own.compile(dynamic=False)
        encode_bag(own, np.zeros((1, side, side, 3), np.uint8), batch, granularity)
    except _COMPILER_ERRORS as error:
        batch.fill = before
        reason = next(iter(str(error).strip().splitlines()), "")
        _log.warning(
            "PyTorch runs the network as it is: it cannot be compiled for %s (%s: %s)",
            batch.device,
            type(error).__name__,
            reason,
        )
        return None
    _log.info("Compiled the network in %.1f s", time.perf_counter() - begun)
    return own
