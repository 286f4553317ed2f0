"""The published student's checkpoint becomes a student folder; the teachers' table."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from napari_xmag.cli import main
from napari_xmag.distill.published import import_student
from napari_xmag.errors import ModelError
from napari_xmag.nets.encoder import load_encoder
from tests.nets.dinov2 import checkpoint, features


def _published(tmp_path: Path, *, grid: int) -> tuple[Path, dict[str, torch.Tensor]]:
    """A checkpoint as XMAG's training writes it: average, student, a foreign teacher, heads."""
    state = checkpoint(grid=grid)
    found = {f"student_ema.model.{key}": value for key, value in state.items()}
    found |= {f"student.model.{key}": value + 1 for key, value in state.items()}
    found |= {"teacher.model.cls_token": torch.zeros(1, 1, 1536)}
    found |= {"student_global_head.net.0.weight": torch.ones(4, 4)}
    path = tmp_path / "xmag.safetensors"
    save_file(found, path)
    return path, state


@pytest.mark.parametrize("grid", [37, 16], ids=["positions of 518 px", "positions of 224 px"])
def test_imported_student_gives_the_features_of_its_authors(tmp_path: Path, grid: int) -> None:
    path, state = _published(tmp_path, grid=grid)
    import_student(path, tmp_path / "student", licence="PolyForm-Noncommercial-1.0.0")
    encoder = load_encoder(tmp_path / "student")
    spec = encoder.student.spec
    assert (spec.mpp, spec.tile_px, spec.cells, spec.embedding) == (2.0, 224, 4, "cls")
    assert encoder.licence == "PolyForm-Noncommercial-1.0.0"
    assert encoder.origin["imported_from"] == "xmag.safetensors"
    tiles = torch.randint(0, 256, (2, 3, 224, 224)).byte()
    mean, std = (torch.tensor(value).view(3, 1, 1) for value in (spec.mean, spec.std))
    tokens = features(state, (tiles / 255 - mean) / std)
    with torch.no_grad():
        output = encoder.student.eval()(tiles)
    torch.testing.assert_close(output.embedding, tokens[:, 0], rtol=1e-3, atol=1e-4)
    corner = tokens[:, 1:].reshape(2, 16, 16, -1)[:, :4, 12:].mean((1, 2))
    torch.testing.assert_close(output.cells[:, :, 0, 3], corner, rtol=1e-3, atol=1e-4)


def test_command_imports_and_timm_can_rebuild_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import timm

    path, _ = _published(tmp_path, grid=37)
    folder = tmp_path / "student"
    assert main(["models", "import", str(path), "--out", str(folder)]) == 0
    assert "224 px at 2 µm/px" in capsys.readouterr().out
    assert json.loads((folder / "config.json").read_text())["architecture"].startswith("vit_base")
    network = timm.create_model(f"local-dir:{folder}", pretrained=True)
    assert network.pos_embed.shape == (1, 1 + 16**2, 128)
    assert main(["models", "import", str(path), "--out", str(folder)]) == 1
    assert "found an existing one" in capsys.readouterr().err


def test_pickled_checkpoint_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "xmag.pth").write_bytes(b"\x80\x04never read")
    with pytest.raises(ModelError, match="can run code"):
        import_student(tmp_path / "xmag.pth", tmp_path / "student")
    assert not (tmp_path / "student").exists()


def test_teachers_command_shows_licences_without_torch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["distill", "teachers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    uni = next(line for line in lines if line.startswith("uni2-h"))
    assert uni.split()[-2:] == ["CC-BY-NC-ND-4.0", "no"]
    midnight = next(line for line in lines if line.startswith("midnight-12k"))
    assert midnight.split()[-3:] == ["no", "MIT", "yes"]
