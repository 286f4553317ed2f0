"""What is said of each result on the terminal."""

from dataclasses import replace
from pathlib import Path

import pytest

from napari_xmag.cli.analyze_report import summary
from tests.analyze.test_result import make_result


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "50 tiles in 0.4 s, 125 tiles/s"),
        (20.0, "50 tiles in 20 s, 2.5 tiles/s"),
        (1000.0, "50 tiles in 17 min, 0.05 tiles/s"),
    ],
)
def test_a_summary_tells_how_long_it_took(seconds: float, words: str) -> None:
    result = replace(make_result(), seconds={"total": seconds})
    assert f"  analyzed    {words}" in summary("a.svs", result, Path("a"), ()).splitlines()
