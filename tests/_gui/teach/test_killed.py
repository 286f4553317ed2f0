"""The window is killed in the middle of a lesson."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_xmag.teach.saved_lesson import load_lesson, user_lesson
from tests._gui.teach.conftest import BORDER
from tests.processes import ROOT

pytestmark = pytest.mark.window


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that kills")
@pytest.mark.usefixtures("graphs_of_children", "models")
def test_a_killed_window_loses_no_click(two_tissues: tuple[Path, Path]) -> None:
    script = "tests._gui.teach.lesson_that_is_killed"
    window = subprocess.Popen(
        [sys.executable, "-m", script, str(two_tissues[0])],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert window.stdout is not None
    told = [window.stdout.readline() for _ in range(9)]
    window.kill()
    told += window.stdout
    window.stdout.close()
    assert window.wait() == -signal.SIGKILL
    clicks = np.array([line.split() for line in told], float)
    assert len(clicks) >= 9
    lesson = load_lesson(user_lesson())
    # the last one may have been saved before it was told
    assert len(lesson.examples) in (len(clicks), len(clicks) + 1)
    saved = {(e.x, e.y): lesson.class_names.index(e.class_name) for e in lesson.examples}
    assert [saved[x, y] for x, y in clicks.tolist()] == (clicks[:, 0] > BORDER).tolist()
