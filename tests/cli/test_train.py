"""The command line of training: settings of file and flags, problems first."""

from argparse import ArgumentParser
from pathlib import Path

import pytest

from napari_xmag.cli import main
from napari_xmag.cli import train as command
from napari_xmag.errors import ConfigError
from napari_xmag.train.config import TrainConfig

pytestmark = pytest.mark.usefixtures("blank_plots")


def config_of(*arguments: str) -> TrainConfig:
    parser = ArgumentParser()
    command.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["train", "cohort.csv", "--out", "run", *arguments])
    config = command._config(parsed)
    assert isinstance(config, TrainConfig)
    return config


def test_without_settings_all_is_as_documented() -> None:
    assert config_of() == TrainConfig()


def test_flags_win_over_the_file_and_leave_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('name = "mine"\n[fit]\nepochs = 7\n[end_to_end.fit]\nlr = 1e-5\n')
    config = config_of(
        *("--config", str(file), "--mode", "end-to-end", "--folds", "3", "--lr", "0.01"),
        *("--set", "end_to_end.store_gb=0.5", "--set", "augment.turns=false", "--name", "2"),
    )
    assert (config.name, config.mode, config.folds) == ("2", "end-to-end", 3)
    assert (config.fit.epochs, config.fit.lr) == (7, 0.01)
    plain = TrainConfig()
    assert config.fit.ema_decay == plain.fit.ema_decay == 0.99
    assert config.end_to_end.fit.lr == 1e-5
    assert config.end_to_end.fit.patience == plain.end_to_end.fit.patience
    assert config.end_to_end.store_gb == 0.5
    assert not config.augment.turns


def test_wrong_values_are_all_named() -> None:
    with pytest.raises(ConfigError, match=r"hidden.*end_to_end\.batch_size"):
        config_of("--set", "hidden=0", "--set", "end_to_end.batch_size=0")


@pytest.mark.parametrize("value", ["inf", "nan", "-1"])
def test_numbers_that_nothing_can_be_multiplied_by_are_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"regions\.weight"):
        config_of("--set", f"regions.weight={value}")


def test_problems_of_the_table_come_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "cohort.csv"
    table.write_text("slide,label\na.tiff,x\nb.tiff,y\n")
    assert main(["train", str(table), "--out", str(tmp_path / "run")]) == 2
    assert "row 2: a.tiff does not exist" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_problems_of_regions_are_listed_likewise(
    tmp_path: Path, pyramid_slide: Path, bounds_slide: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "cohort.csv"
    rows = [f"{pyramid_slide},x,a.geojson", f"{bounds_slide},y,b.geojson"]
    table.write_text("\n".join(["slide,label,regions", *rows]))
    (tmp_path / "a.geojson").write_text("{")
    (tmp_path / "b.geojson").write_text("[]")
    assert main(["train", str(table), "--out", str(tmp_path / "run")]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("row ")]
    assert [line.partition(":")[0] for line in told] == ["row 2", "row 3"]
    assert not (tmp_path / "run").exists()


def test_a_pixel_size_may_override_that_of_all_slides(
    tmp_path: Path, no_mpp_slide: Path, pyramid_slide: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The only problem left of the table is one that no pixel size can mend."""
    table = tmp_path / "cohort.csv"
    table.write_text(f"slide,label\n{no_mpp_slide},x\n{pyramid_slide},y\ngone.tiff,y\n")
    arguments = ["train", str(table), "--out", str(tmp_path / "run"), "--override-mpp", "0,5"]
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "row 4: gone.tiff does not exist" in told
    assert "states no pixel size" not in told
