"""Agreement of students with a teacher, from fields to figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_xmag.cli import main
from napari_xmag.evaluate.config import AgreementConfig
from napari_xmag.fields.shards import write_index, write_shard
from napari_xmag.geometry import Box


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty fields of 256 px at 0.5 µm/px, of three cases; their cells differ in colour."""
    folder = tmp_path_factory.mktemp("fields")
    draw = np.random.default_rng(0)
    with write_shard(folder / "s.tar", mpp=0.5, quality=95) as writer:
        for number in range(30):
            colors = draw.integers(40, 216, (4, 4, 3)).repeat(64, 0).repeat(64, 1)
            pixels = (colors + draw.normal(0, 8, (256, 256, 3))).clip(0, 255).astype(np.uint8)
            slide = f"s{number % 6}.svs"
            writer.add(Box(0, 0, 256, 256), pixels, slide=slide, case=f"c{number % 3}")
    write_index(folder, writer.records)
    return folder


def toml(path: Path, fields: Path, encoder: Path) -> Path:
    path.write_text(
        f"fields = '{fields}'\nvalidation = ['c1']\n"
        f"[teacher]\nname = 'local-dir:{encoder}'\nfeature = 'pooled'\ntile_px = 64\n"
        "mean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n"
        f"[[encoders]]\nname = 'student'\nstudent = '{encoder}'\n[machine]\ndevice = 'cpu'\n"
    )
    return path


def test_agreement_on_the_cases_held_out(fields: Path, tiny_encoder: Path, tmp_path: Path) -> None:
    config, out = toml(tmp_path / "a.toml", fields, tiny_encoder), tmp_path / "out"
    assert main(["evaluate", "agreement", str(config), "--out", str(out)]) == 0
    content: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    (found,) = content["agreement"]
    assert (
        "Fitted on 20 fields, tested on all 10 of the 1 cases held out: c1" in content["division"]
    )
    # A cell of one colour shows a student of half that scale what the teacher sees of it.
    assert 0.2 < found["cells"] <= 1
    assert -1 <= found["whole"] <= 1
    assert "| student |" in (out / "results.md").read_text(encoding="utf-8")


def test_a_teacher_is_no_student(tmp_path: Path) -> None:
    settings = {
        "fields": tmp_path,
        "teacher": {"name": "x"},
        "encoders": [{"name": "t", "teacher": {"name": "uni2-h"}}],
    }
    with pytest.raises(ValueError, match="only students"):
        AgreementConfig.model_validate(settings)
