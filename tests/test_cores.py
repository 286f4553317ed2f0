"""Work that is shared among the processor's cores."""

import threading

import pytest

from napari_xmag.cores import in_threads, usable_cores


def test_cores_are_limited_as_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = usable_cores()
    assert cores >= 1
    for stated, expected in (("1", 1), ("999", cores), ("0", cores), ("all", cores), ("", cores)):
        monkeypatch.setenv("OMP_NUM_THREADS", stated)
        assert usable_cores() == expected


def test_all_items_are_worked_on_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_xmag.cores.usable_cores", lambda: 3)
    done, together = [], threading.Barrier(3, timeout=60)

    def work(item: int) -> None:
        together.wait()  # breaks unless three are there
        done.append(item)

    in_threads(work, range(9))
    assert sorted(done) == list(range(9))


def test_an_error_comes_out_and_ends_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_xmag.cores.usable_cores", lambda: 1)
    done: list[int] = []

    def work(item: int) -> None:
        if item > 1:
            threading.Event().wait(0.2)  # longer than it takes to hear of the error
        done.append(1 // item)

    with pytest.raises(ZeroDivisionError):
        in_threads(work, [1, 0, *range(2, 40)])
    assert len(done) < 38
