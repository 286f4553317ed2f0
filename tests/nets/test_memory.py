"""Freed memory is kept, so that large arrays cost page faults once; or it is given back."""

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


_IN_THREADS = """
import resource
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from napari_xmag.nets import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.ones(12 << 20)  # 96 MiB: more than a thread's own memory can hold
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def in_thread():
    with ThreadPoolExecutor(1) as pool:
        pool.submit(faults).result()
        return pool.submit(faults).result()

if {learning}:
    assert memory.keep_freed_memory_of_threads()
else:
    memory.keep_freed_memory()
print(in_thread(), in_thread())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is asked")
def test_what_threads_free_is_kept_where_a_process_learns() -> None:
    def faults(*, learning: bool) -> list[int]:
        script = _IN_THREADS.format(learning=learning)
        command = [sys.executable, "-c", script]
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        return [int(number) for number in answer.stdout.split()]

    assert max(faults(learning=True)) < min(faults(learning=False)) / 10


_GIVEN_BACK = """
import resource
import numpy as np
from napari_xmag.nets.memory import give_freed_memory_back, keep_freed_memory

def taken():
    with open("/proc/self/statm") as counts:
        return int(counts.read().split()[1]) * resource.getpagesize() >> 20

keep_freed_memory()
first = taken()
many = [np.ones(1 << 17) for _ in range(200)]  # 200 MiB, with something in use at the end
last = np.ones(1 << 17)
del many
kept = taken()
print(give_freed_memory_back(), kept - first, taken() - first)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is asked")
def test_memory_between_what_is_in_use_is_given_back() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", _GIVEN_BACK], capture_output=True, text=True, check=True
    ).stdout.split()
    returned, kept, left = answer[0] == "True", int(answer[1]), int(answer[2])

    assert returned
    assert kept > 150
    assert left < 20
