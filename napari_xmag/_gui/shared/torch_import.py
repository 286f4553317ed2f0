"""PyTorch in a process that already draws with OpenGL."""

import importlib.util
import logging
import os
import sys
from threading import Lock

_lock = Lock()
_log = logging.getLogger(__name__)


def prepare_torch() -> None:
    """Load Triton, which PyTorch's companions import, so that it finds its own LLVM.

    Mesa's drivers put their LLVM before all eyes, and Triton's library exports one of another
    version: imported after the first OpenGL context, as in a window always, it calls the wrong one
    and the process dies (the same clash: tensorflow#124205). Binding it deeply keeps them apart.
    """
    with _lock:
        if not hasattr(os, "RTLD_DEEPBIND") or "triton" in sys.modules:
            return
        if importlib.util.find_spec("triton") is None:
            return
        flags = sys.getdlopenflags()
        sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
        try:
            import triton  # noqa: F401
        except ImportError as error:
            _log.info("Triton cannot be imported (%s); it is not needed", error)
        finally:
            sys.setdlopenflags(flags)
