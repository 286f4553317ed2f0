"""Numbers and times as people read them."""

import time
from collections.abc import Iterator

import pytest

from napari_xmag.formatting import local_minute, percent


@pytest.mark.parametrize(
    ("probability", "words"),
    [(0, "0 %"), (0.004, "< 1 %"), (0.876, "88 %"), (0.997, "> 99 %"), (1, "100 %")],
)
def test_only_what_is_certain_reads_as_certain(probability: float, words: str) -> None:
    assert percent(probability) == words


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="no time zone can be set")
@pytest.mark.usefixtures("tokyo")
@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2026-11-27T22:02:05.123+00:00", "2026-11-28 07:02"),
        ("2026-11-27T22:02:05+00:00", "2026-11-28 07:02"),
        ("yesterday", "yesterday"),
        ("9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59+00:00"),
    ],
)
def test_a_time_is_told_by_the_clock_of_this_computer(moment: str, words: str) -> None:
    assert local_minute(moment) == words
