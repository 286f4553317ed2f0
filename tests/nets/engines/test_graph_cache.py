"""Graphs are kept whole, checked, shared by what decides them, and forgotten in time."""

import os
from pathlib import Path

import pytest

from napari_xmag.errors import ExportError, GraphError
from napari_xmag.nets.engines import graph_cache
from napari_xmag.nets.engines.graph_cache import graph_name, keep_graph, kept_graph
from tests.unfinished import NO_PROCESS, half_written


@pytest.fixture(autouse=True)
def graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "graphs"
    monkeypatch.setattr(graph_cache, "graphs_folder", lambda: folder)
    return folder


def written(content: bytes = b"graph") -> Path:
    return keep_graph("one", lambda path: path.write_bytes(content) and None)


def test_what_is_kept_is_found_again() -> None:
    assert kept_graph("one") is None
    path = written(b"first")
    assert kept_graph("one") == path
    assert path.read_bytes() == b"first"


def test_nothing_half_written_is_kept(graphs: Path) -> None:
    def interrupted(path: Path) -> None:
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_graph("one", interrupted)
    assert kept_graph("one") is None
    assert list(graphs.iterdir()) == []


@pytest.mark.parametrize("damage", [b"grapH", b"grap", b""])
def test_altered_graph_is_not_taken(damage: bytes) -> None:
    path = written()
    path.write_bytes(damage)
    assert kept_graph("one") is None
    assert written(b"anew") == path
    assert kept_graph("one") == path


@pytest.mark.parametrize("about", ["", "{", "[]", "{}", '{"sha256": 3}', "\x00"])
def test_unreadable_description_counts_as_no_graph(about: str) -> None:
    path = written()
    (path.parent / "about.json").write_text(about)
    assert kept_graph("one") is None


def test_description_without_its_graph_counts_as_none() -> None:
    written().unlink()
    assert kept_graph("one") is None


def test_refusal_is_remembered(graphs: Path) -> None:
    refusal = GraphError(expected="a graph", found="none", hint="Use torch.")
    tries = []

    def refuse(path: Path) -> None:
        tries.append(path)
        raise refusal

    with pytest.raises(GraphError):
        keep_graph("one", refuse)
    with pytest.raises(GraphError, match=r"could not be: none"):
        kept_graph("one")
    assert len(tries) == 1


def test_name_says_all_that_decides_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {graph_name("a", "tiles"), graph_name("b", "tiles"), graph_name("a", "cells")}
    assert graph_name("a", "tiles") in names
    monkeypatch.setattr(graph_cache, "version", lambda package: f"{package} 99")
    names.add(graph_name("a", "tiles"))
    assert len(names) == 4


def test_folder_that_cannot_be_written_is_an_error(graphs: Path) -> None:
    graphs.write_text("a file lies there")
    with pytest.raises(ExportError):
        written()


def test_graphs_not_used_for_longest_are_removed(
    graphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_cache, "_MOST_BYTES", 25)
    for day, name in enumerate(("old", "older", "oldest")):
        path = keep_graph(name, lambda path: path.write_bytes(b"0123456789") and None)
        os.utime(path.parent, (1e9 - day, 1e9 - day))
    assert kept_graph("oldest") is not None  # and thereby used last
    keep_graph("new", lambda path: path.write_bytes(b"0123456789") and None)
    assert {folder.name for folder in graphs.iterdir()} == {"new", "oldest"}


def test_parts_of_a_killed_run_are_removed(graphs: Path) -> None:
    parts = [half_written(graphs, process) for process in (os.getpid(), NO_PROCESS)]
    written()
    assert {folder.name for folder in graphs.iterdir()} == {"one", parts[0].name}
