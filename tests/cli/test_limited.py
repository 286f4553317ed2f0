"""Commands under a limit of memory end in words, also where a library ends the process."""

import subprocess
import sys
from pathlib import Path

import pytest

LIMITED = pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux keeps them")

_CODE = """
import os, resource, signal, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
from napari_xmag import zoo
from napari_xmag.cli import main
if sys.argv[2] != "nothing":
    zoo.check_model = {
        "abort": lambda *_: os.abort(),
        "killed": lambda *_: os.kill(os.getppid(), signal.SIGTERM) or signal.pause(),
        "MemoryError": lambda *_: bytearray(2**60),
        "fault": lambda *_: 1 / 0,
    }[sys.argv[2]]
sys.exit(main(["models", "check", sys.argv[3]]))
"""


def ended(limit: float, how: str, model: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", _CODE, str(int(limit * 2**30)), how, model]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@LIMITED
@pytest.mark.parametrize(
    ("limit", "how", "code", "words"),
    [
        # where PyTorch itself cannot be loaded
        (1.5, "nothing", 1, "of which 1.5 GB are allowed"),
        (3.0, "MemoryError", 1, "memory ran out (MemoryError"),
        (3.0, "abort", 1, "SIGABRT ended the program"),
        (3.0, "killed", 130, "Cancelled"),
    ],
)
def test_it_ends_in_words(limit: float, how: str, code: int, words: str, tiny: str) -> None:
    done = ended(limit, how, tiny)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert ("Allow more" in done.stderr) == (code == 1)


@LIMITED
def test_faults_of_the_program_are_not_hidden(tiny: str) -> None:
    done = ended(3.0, "fault", tiny)
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


@LIMITED
def test_a_limit_that_is_wide_enough_changes_nothing(tmp_path: Path) -> None:
    done = ended(3.0, "nothing", str(tmp_path / "missing"))
    assert done.returncode == 1
    assert "memory" not in done.stderr
