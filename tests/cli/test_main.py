"""What holds for every command."""

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from napari_xmag import cli


@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [
        (["--help"], ""),
        (["models", "list"], ""),
        (["models", "list"], "1"),
        (["analyze", "nowhere.svs", "--progress", "json"], ""),
    ],
)
def test_a_reader_that_has_read_enough_ends_it_quietly(
    arguments: Sequence[str], unbuffered: str
) -> None:
    command = [sys.executable, "-m", "napari_xmag.cli", *arguments]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(command, env=environment, **pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
    assert (process.returncode, said) == (cli.PIPE_CLOSED, "")


def test_a_pipe_that_is_not_the_output_is_an_error_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> int:
        raise BrokenPipeError("of a worker")

    monkeypatch.setattr(cli, "_run", broken)
    with pytest.raises(BrokenPipeError, match="of a worker"):
        cli.main([])
