"""A student that sees each tile twice, beside the same student that sees it once."""

import sys
from pathlib import Path

import pytest
import torch
import two_scales

from napari_xmag.nets.encoder import load_encoder
from napari_xmag.zoo import find_model


def test_both_sizes_stand_side_by_side() -> None:
    student = load_encoder(find_model()).student.eval()
    both = two_scales.TwoScales(student)
    pixels = torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8)
    blocks = pixels.reshape(2, 3, 128, 2, 128, 2).float().mean((3, 5)) / 255
    with torch.inference_mode():
        embedding, cells = both(pixels)
        torch.testing.assert_close(embedding[:, : student.dim], student(pixels).embedding)
        torch.testing.assert_close(embedding[:, student.dim :], student(blocks).embedding)
        torch.testing.assert_close(cells, student(pixels).cells)
    assert embedding.shape[1] == both.dim


def test_the_table_names_each_encoder_and_task(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = config.read_text().replace("model = 'none'", f"student = '{find_model()}'")
    settings = config.with_name("two-scales.toml")
    settings.write_text(text)
    words = ["two_scales.py", str(settings), str(tmp_path), "--encoders", "replaced"]
    monkeypatch.setattr(sys, "argv", [*words, "--tasks", "a", "b"])
    two_scales.main()
    lines = (tmp_path / "results.md").read_text(encoding="utf-8").splitlines()[2:]
    assert [line.split(" | ")[:2] for line in lines] == [["| replaced", "a"], ["| replaced", "b"]]
    # two colours are told apart at either scale
    assert all(line.count("1.000 (1.000 to 1.000)") == 2 for line in lines)


@pytest.mark.parametrize(
    "words", [["--encoders", "repalced"], ["--encoders", "replaced", "--tasks", "d"]]
)
def test_unknown_names_are_refused(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["two_scales.py", str(config), str(tmp_path / "out"), *words])
    with pytest.raises(SystemExit, match=f"There is no {words[-1]}; there are: "):
        two_scales.main()
    assert not (tmp_path / "out").exists()
