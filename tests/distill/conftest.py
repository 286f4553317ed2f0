"""A small distillation: fields of two synthetic slides, two tiny networks, a configuration."""

from pathlib import Path

import pytest

from napari_xmag.distill.config import DistillConfig, load_distill_config
from napari_xmag.distill.prepare import PrepareConfig, prepare
from napari_xmag.progress.heartbeat import finish
from tests.distill.tiny import save_tiny


@pytest.fixture(scope="session")
def fields(
    aperio_slide: Path, pyramid_slide: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("fields")
    config = PrepareConfig(field_px=512, per_slide=12, stride=0.25, min_tissue=0.5)
    finish(prepare([aperio_slide, pyramid_slide], out, config))
    return out


@pytest.fixture
def config(fields: Path, pyramid_slide: Path, tmp_path: Path) -> DistillConfig:
    save_tiny(tmp_path / "start", seed=1)
    save_tiny(tmp_path / "teacher", seed=2)
    text = f"""
        [data]
        fields = "{fields.as_posix()}"
        cache = "cache"
        validation = ["{pyramid_slide.name}"]
        [student]
        start = "local-dir:start"
        tile_px = 128
        mean = [0.5, 0.5, 0.5]
        std = [0.5, 0.5, 0.5]
        [teacher]
        name = "local-dir:teacher"
        licence = "CC-TEST"
        [loss]
        center = "none"
        [fit]
        epochs = 4
        lr = 3e-3
        ema_decay = 0.8
        [run]
        out = "student"
        batch_size = 8
        licence = "CC-TEST"
    """
    (tmp_path / "config.toml").write_text(text)
    return load_distill_config(tmp_path / "config.toml")
