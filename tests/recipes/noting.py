"""Programs that only note how they were asked, for recipes in shell."""

import os
from itertools import pairwise
from pathlib import Path

import pytest

_NOTE = """#!/bin/sh
case " $* " in {refused}) exit 1 ;; esac
line={name}
for word; do line=$(printf '%s\\t%s' "$line" "$word"); done
echo "$line" >> '{note}'
"""


def note_programs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *names: str, refused: str = "''"
) -> Path:
    """Put programs of these names first in PATH; return the file in which they note their words.

    Parameters
    ----------
    refused
        Pattern of the shell: where the words match, the program fails.
    """
    note, place = folder / "asked.txt", folder / "bin"
    place.mkdir(exist_ok=True)
    for name in names:
        program = place / name
        program.write_text(_NOTE.format(refused=refused, name=name, note=note), encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    return note


def commands(note: Path) -> list[list[str]]:
    """Return all commands that were noted, the program first."""
    return [line.split("\t") for line in note.read_text(encoding="utf-8").splitlines()]


def settings(command: list[str]) -> list[str]:
    """Return what follows each ``--set``."""
    return [word for flag, word in pairwise(command) if flag == "--set"]
