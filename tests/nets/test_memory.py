"""Freed memory is kept: large arrays cost page faults once, not each time."""

import subprocess
import sys

import pytest

_FAULTS = """
import resource
import numpy as np
from napari_xmag.nets.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(4 << 20)  # 32 MiB: 8192 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

plain = faults()
agreed = keep_freed_memory()
faults()
print(agreed, plain, faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is asked")
def test_large_arrays_are_mapped_once() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True
    ).stdout.split()
    agreed, plain, kept = answer[0] == "True", int(answer[1]), int(answer[2])

    assert agreed
    assert plain >= 20 * 16  # one fault for each page, of 2 MiB where the system gives huge ones
    assert kept < plain / 10
