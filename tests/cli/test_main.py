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


@pytest.mark.parametrize(
    ("arguments", "offered"),
    [([], "analyze"), (["models"], "list"), (["evaluate"], "probe"), (["distill"], "prepare")],
)
def test_without_the_next_word_it_says_which_there_are(
    arguments: Sequence[str], offered: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"\n    {offered} " in said.err
    assert "error" not in said.err


def test_an_argument_that_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train"])
    assert "the following arguments are required: COHORT, --out" in capsys.readouterr().err
