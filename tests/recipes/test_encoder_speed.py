"""What is read of a network, timed in turns."""

import re
import sys
from pathlib import Path

import encoder_speed
import pytest
import timm
from timm.models import save_for_hf


@pytest.mark.parametrize("engine", ["torch", "graph"])
def test_each_reading_is_timed_beside_the_last_stage(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    network = timm.create_model("test_resnet", num_classes=0)
    save_for_hf(network, tmp_path / "tiny", safe_serialization=True)
    few = ["--rounds", "1", "--tiles", "2", "--tile-px", "128"]
    words = ["encoder_speed.py", str(tmp_path / "tiny"), "--engines", engine, *few]
    monkeypatch.setattr(sys, "argv", words)
    encoder_speed.main()
    lines = capsys.readouterr().out.splitlines()
    rows = re.findall(
        rf"^\| {engine} \| tiny \| (.+?) \| [\d.]+ \| ([\d.]+) \|$", "\n".join(lines), re.M
    )
    assert [reading for reading, _ in rows] == [*encoder_speed.READINGS]
    assert rows[0][1] == "1.00"
    assert all(float(time) > 0 for _, time in rows)
