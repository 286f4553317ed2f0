"""Settings from TOML: paths, overrides, and errors that name every wrong value."""

from pathlib import Path

import pytest
from pydantic import Field

from napari_xmag.config import (
    AnchoredPath,
    ConfigSection,
    NameOrFolder,
    NetworkSource,
    checked,
    load_config,
)
from napari_xmag.errors import ConfigError
from napari_xmag.learn.fit_config import FitConfig


class Item(ConfigSection):
    size: int = Field(default=1, ge=1)


class All(ConfigSection):
    place: AnchoredPath
    source: NetworkSource = "resnet10t"
    model: NameOrFolder = "default"
    items: tuple[Item, ...] = ()
    one: Item = Item()


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(path: Path, *settings: str) -> All:
    return load_config(path, settings, All, manual="docs/x.md")


def test_relative_paths_mean_those_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    path = written(tmp_path, 'place = "a/b"\nsource = "local-dir:net"\nmodel = "mine"')
    config = loaded(path)
    assert config.place == tmp_path / "a/b"
    assert config.source == f"local-dir:{tmp_path / 'net'}"
    assert config.model == str(tmp_path / "mine")


def test_other_names_and_absolute_paths_stay(tmp_path: Path) -> None:
    path = written(tmp_path, f'place = "{(tmp_path / "x").as_posix()}"\nsource = "hf-hub:a/b"')
    config = loaded(path)
    assert config.place == tmp_path / "x"
    assert config.source == "hf-hub:a/b"
    assert config.model == "default"


def test_home_is_expanded(tmp_path: Path) -> None:
    assert loaded(written(tmp_path, 'place = "~/x"')).place == Path.home() / "x"


def test_settings_win_in_sections_lists_and_new_places(tmp_path: Path) -> None:
    path = written(tmp_path, 'place = "a"\n[[items]]\nsize = 2\n[[items]]\nsize = 3')
    config = loaded(path, "items.1.size=7", "one.size=4", "place=b c")
    assert [item.size for item in config.items] == [2, 7]
    assert config.one.size == 4
    assert config.place == tmp_path / "b c"


def test_an_item_of_a_list_can_be_replaced(tmp_path: Path) -> None:
    path = written(tmp_path, 'place = "a"\nitems = [{ size = 2 }]')
    assert loaded(path, "items.0={size = 9}").items == (Item(size=9),)


@pytest.mark.parametrize(
    "setting", ["size", "=3", "one..size=3", "items.2.size=1", "items.x=1", "place.deep.er=1"]
)
def test_a_setting_of_nothing_is_refused(tmp_path: Path, setting: str) -> None:
    path = written(tmp_path, 'place = "a"\n[[items]]\nsize = 2')
    with pytest.raises(ConfigError, match="setting such as"):
        loaded(path, setting)


def test_every_wrong_value_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "colour = 1\n[one]\nsize = 0")
    with pytest.raises(ConfigError) as caught:
        loaded(path)
    for name in ("place", "colour", "one.size", "docs/x.md"):
        assert name in str(caught.value)


@pytest.mark.parametrize("text", ["place = ", None])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "absent.toml" if text is None else written(tmp_path, text)
    with pytest.raises(ConfigError, match=path.name):
        loaded(path)


def test_values_from_elsewhere_are_checked_alike() -> None:
    good = checked(FitConfig, {"epochs": 3})
    assert good.epochs == 3
    with pytest.raises(ConfigError, match=r"options.*epochs: .*; lr: .*Look again"):
        checked(FitConfig, {"epochs": 0, "lr": -1}, expected="good options", hint="Look again.")
