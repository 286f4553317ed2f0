"""How it shows that memory ran out, whatever ran out of it."""

import errno

_WORDS = (
    "out of memory",  # CUDA, MPS
    "can't allocate memory",  # PyTorch on a CPU
    "not enough memory",  # the same on Windows
    "cublas_status_alloc_failed",
    "failed to allocate",  # ONNX Runtime
    "bad_alloc",
    "bad allocation",
    "cannot allocate memory",  # the system, when it loads a library
    "failed to map segment",
    "can't start new thread",
)

_KINDS = (RuntimeError, ImportError, OSError, SystemError)


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error, or one that led to it, says that memory ran out, on any device."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        if _says_so(cause):
            return True
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__
    return False


def _says_so(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    text = str(error).lower()
    # ONNX Runtime has kinds of its own, with no common base.
    ours = isinstance(error, _KINDS) or type(error).__module__.startswith("onnxruntime")
    return ours and any(words in text for words in _WORDS)
