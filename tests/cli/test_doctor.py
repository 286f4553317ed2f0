"""`napari-xmag doctor` in good and in bad days."""

from pathlib import Path

import pytest

from napari_xmag.cli import doctor, main
from napari_xmag.cli.doctor import examine

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
    monkeypatch.setattr(doctor, "_PACKAGES", ("numpy", "unheard-of"))
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "!!  unheard-of" in said
    assert "-> pip install unheard-of" in said


@pytest.mark.usefixtures("_one_model")
def test_missing_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_QT_BINDINGS", ())
    window = next(finding for finding in examine() if finding.name == "window")
    assert "pyside6" in window.hint


def test_altered_model(tiny: str, tmp_path: Path, capsys: Captured) -> None:
    import shutil

    home = tmp_path / "xmag-home" / "models"
    shutil.copytree(tiny, home / "tiny")
    (home / "tiny" / "head.safetensors").write_bytes(b"altered")
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "head.safetensors" in said
