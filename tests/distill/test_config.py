"""Configurations: defaults of the recipe, values from the command line, every one documented."""

from pathlib import Path

import pytest

from napari_xmag.distill.config import load_distill_config
from napari_xmag.errors import ConfigError

GOOD = """
[data]
fields = "fields"
cache = "/elsewhere/cache"
[student]
start = "local-dir:start"
[teacher]
name = "local-dir:/elsewhere/teacher"
[run]
out = "student"
"""


def write(folder: Path, text: str = GOOD) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_the_published_recipe(tmp_path: Path) -> None:
    config = load_distill_config(write(tmp_path))
    assert (config.loss.global_weight, config.loss.local_weight) == (1.0, 0.5)
    assert (config.fit.lr, config.fit.weight_decay, config.fit.clip) == (5e-4, 0.05, 1.0)
    assert config.fit.ema_decay == 0.999
    assert config.augment.views == 2


def test_relative_paths_lie_beside_the_file(tmp_path: Path) -> None:
    config = load_distill_config(write(tmp_path))
    assert config.data.fields == tmp_path / "fields"
    assert config.data.cache == Path("/elsewhere/cache")
    assert config.student.start == f"local-dir:{tmp_path / 'start'}"
    assert config.teacher.name == "local-dir:/elsewhere/teacher"


def test_settings_win_over_the_file(tmp_path: Path) -> None:
    settings = ["fit.epochs=3", "run.out=other", 'data.validation=["a*"]', "loss.center=none"]
    config = load_distill_config(write(tmp_path), settings)
    assert config.fit.epochs == 3
    assert config.run.out == tmp_path / "other"
    assert config.data.validation == ("a*",)
    assert config.loss.center == "none"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["fit.epochs=0"], "fit.epochs"),
        (["fit.epoch=3"], "fit.epoch"),
        (["loss.local_weight=-1"], "loss.local_weight"),
        (["teacher.feature=mean"], "teacher.feature"),
        (["epochs"], "fit.epochs=3"),
    ],
)
def test_wrong_values_are_named(tmp_path: Path, settings: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load_distill_config(write(tmp_path), settings)


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TOML"):
        load_distill_config(write(tmp_path, "fields = = 3"))
    with pytest.raises(ConfigError, match="TOML"):
        load_distill_config(tmp_path / "none.toml")


def test_cached_targets_need_a_cache(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace('cache = "/elsewhere/cache"', ""))
    with pytest.raises(ConfigError, match=r"data\.cache"):
        load_distill_config(path)
    assert load_distill_config(path, ["data.targets=online"]).data.cache is None


def test_records_lie_beside_the_student_unless_told_otherwise(tmp_path: Path) -> None:
    assert load_distill_config(write(tmp_path)).run.record_folder == tmp_path / "student-run"
    scanner_shift = load_distill_config(write(tmp_path), ["run.records=there"])
    assert scanner_shift.run.record_folder == tmp_path / "there"
