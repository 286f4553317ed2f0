"""`napari-xmag doctor` in good and in bad days."""

import re
from pathlib import Path

import pytest

from napari_xmag.cli import doctor, main

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def _one_model(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_xmag.zoo.bundled_folder", lambda: Path(tiny).parent)
    monkeypatch.setattr("napari_xmag.zoo.DEFAULT_MODEL", "tiny")


@pytest.mark.usefixtures("_one_model")
def test_all_is_well(capsys: Captured) -> None:
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    for name in ("napari-xmag", "torch", "OpenSlide", "device", "napari plugin", "tiny"):
        assert name in said
    assert "All is well." in said


@pytest.mark.usefixtures("_one_model")
def test_missing_package(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PACKAGES", {"numpy": "numpy", "unheard-of": "unheard"})
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "!!  unheard-of" in said
    assert "-> pip install unheard-of" in said
    assert re.search(r"^1 of \d+ needs attention\.$", said, re.MULTILINE)


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let packages look as if they were not installed."""
    monkeypatch.setattr(doctor, "_version", lambda name, _: "" if name in names else "1.0")


@pytest.mark.usefixtures("_one_model")
def test_an_installation_without_a_window_is_well_and_says_how_to_get_one(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "napari", "distributed", *doctor._QT_BINDINGS)
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "--  window" in said
    assert '-> pip install "napari-xmag[all]"' in said
    assert "--  cluster" in said
    assert '-> pip install "napari-xmag[cluster]"' in said


@pytest.mark.usefixtures("_one_model")
def test_napari_without_a_qt_binding_needs_attention(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, *doctor._QT_BINDINGS)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "!!  window" in said
    assert "napari 1.0 without a Qt binding" in said


def test_altered_model(tiny: str, tmp_path: Path, capsys: Captured) -> None:
    import shutil

    home = tmp_path / "xmag-home" / "models"
    shutil.copytree(tiny, home / "tiny")
    (home / "tiny" / "head.safetensors").write_bytes(b"altered")
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "head.safetensors" in said
