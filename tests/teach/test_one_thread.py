"""BLAS keeps to one thread while small things are computed, and not afterwards."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from napari_xmag.nets.heads.label_spreading import LikenessGraph
from napari_xmag.nets.heads.patch_classifier import Classified, PatchClassifier, PlacedPatches
from napari_xmag.teach.areas import areas
from napari_xmag.teach.classifier import fit
from napari_xmag.teach.estimate import estimate
from napari_xmag.teach.one_thread import one_thread
from napari_xmag.teach.session import TeachSession
from tests.processes import ROOT
from tests.teach.slides import prepared_slide, show, slide_id, tissue_kinds


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    """Give BLAS three threads, whatever the machine has."""
    with threadpool_limits(3, user_api="blas"):
        yield


def threads() -> set[int]:
    """Return how many threads the BLAS libraries use now."""
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def end_in_the_order_of_beginning() -> None:
    """Hold BLAS twice; for a process in which nobody else holds it."""
    import sklearn.linear_model  # noqa: F401 - what it loads is limited, too

    with threadpool_limits(3, user_api="blas"):
        first, second = one_thread(), one_thread()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert threads() == {1}
        second.__exit__(None, None, None)
        assert threads() == {3}


def test_all_threads_come_back_in_whatever_order_it_ends() -> None:
    """In a process of its own: threads that other tests left behind may hold BLAS in this one."""
    call = f"from {__name__} import end_in_the_order_of_beginning as end; end()"
    subprocess.run([sys.executable, "-c", call], cwd=ROOT, check=True)


def test_teaching_keeps_to_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    session, slide = TeachSession(), prepared_slide(tissue_kinds())
    session.open_slide(slide)
    show(session, slide, tissue_kinds(), ("Tumor", "Other"))
    seen: list[set[int]] = []
    plain, joined = PatchClassifier.at, LikenessGraph.of

    def at(self: PatchClassifier, patches: PlacedPatches) -> Classified:
        seen.append(threads())
        return plain(self, patches)

    def of(cls: type[LikenessGraph], *given: Any) -> LikenessGraph | None:
        seen.append(threads())
        return joined(*given)

    monkeypatch.setattr(PatchClassifier, "at", at)
    monkeypatch.setattr(LikenessGraph, "of", classmethod(of))
    taught = fit(session.request())
    assert len(seen) == 2
    estimate(taught)
    areas(taught, slide_id())
    assert len(seen) > 10
    assert all(each == {1} for each in seen)
