"""Results are saved and loaded without loss; altered ones are refused."""

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas
import pytest

from napari_xmag import NOTICE
from napari_xmag.analyze import Flag, PatchTable, SlideResult, UnreadableTile
from napari_xmag.errors import DependencyError, ExportError, ResultError
from napari_xmag.geometry import Box


def make_result(tiles: int = 50, classes: tuple[str, ...] = ("benign", "malignant")) -> SlideResult:
    """Return a result full of numbers that are easily rounded."""
    rng = np.random.default_rng(3)
    columns, stride = 10, 2048.000000000731
    place = np.arange(tiles)
    logit = (rng.standard_normal(tiles) * 1e3).astype(np.float32)
    table = PatchTable(
        x=1501 + place % columns * stride,
        y=2003 + place // columns * stride,
        width=np.full(tiles, stride),
        height=np.full(tiles, stride),
        column=place % columns,
        row=place // columns,
        attention_logit=logit,
        attention=(rng.random(tiles) ** 20).astype(np.float32),
        evidence=rng.standard_normal((tiles, len(classes))).astype(np.float32) / 3,
    )
    return SlideResult(
        patches=table,
        grid_shape=(7, columns),
        stride_x=stride,
        stride_y=stride,
        origin_x=1501.0,
        origin_y=2003.0,
        classes=classes,
        logits=tuple(0.1 + 0.2 * index for index in range(len(classes))) if tiles else (),
        probabilities_raw=(1 / 3, 2 / 3) if tiles else (),
        probabilities=(0.4, 0.6) if tiles else (),
        flags=(Flag("mpp_by_hand", "The pixel size was given by hand."),),
        unreadable=(UnreadableTile(Box(1.1, 2.2, 3.3, 4.4), "a broken JPEG"),),
        slide={
            "path": "Präparat 7.svs",
            "fingerprint": "abc",
            "mpp_x": 0.25,
            "mpp_y": 0.2500000001,
            "mpp_source": "vendor property",
            "width": 30000,
            "height": 20000,
            "bounds": {"x": 1501, "y": 2003, "width": 20480, "height": 14336},
        },
        model={
            "name": "tiny",
            "display_name": "Tiny",
            "sha256": "0" * 64,
            "mpp": 2.0,
            "tile_px": 256,
        },
        settings={"device": "cpu", "batch_size": 8, "workers": None},
        seconds={"total": 1.23456789012345678},
        versions={"napari-xmag": "0.1.0"},
        created="2025-01-01T00:00:00+00:00",
    )


def assert_same(first: SlideResult, second: SlideResult) -> None:
    for field in dataclasses.fields(SlideResult):
        one, other = getattr(first, field.name), getattr(second, field.name)
        if field.name != "patches":
            assert one == other, field.name
    for field in dataclasses.fields(PatchTable):
        one, other = getattr(first.patches, field.name), getattr(second.patches, field.name)
        assert one.dtype == other.dtype, field.name
        np.testing.assert_array_equal(one, other, err_msg=field.name)


@pytest.mark.parametrize("tiles", [0, 1, 50])
@pytest.mark.parametrize("classes", [("benign", "malignant"), ('grade "2", high', "Übergang\n;")])
def test_nothing_is_lost(tiles: int, classes: tuple[str, ...], tmp_path: Path) -> None:
    result = make_result(tiles, classes)
    result.save(tmp_path / "deep" / "folder")
    assert_same(result, SlideResult.load(tmp_path / "deep" / "folder"))
    assert sorted(file.name for file in (tmp_path / "deep" / "folder").iterdir()) == [
        "result.json",
        "tiles.csv",
    ]


def test_the_table_for_pandas_is_that_of_the_file(tmp_path: Path) -> None:
    result = make_result()
    result.save(tmp_path)
    saved = pandas.read_csv(tmp_path / "tiles.csv")
    frame = result.to_dataframe()
    assert list(frame.columns) == [name for name in saved.columns if name != "notice"]
    assert len(frame) == 50
    for name, values in frame.items():
        np.testing.assert_allclose(values, saved[name], rtol=1e-7, err_msg=str(name))
    assert frame["evidence_malignant"].dtype == np.float32
    assert frame.attrs["notice"] == NOTICE


def test_a_result_without_tissue_gives_an_empty_table() -> None:
    frame = make_result(0).to_dataframe()
    assert len(frame) == 0
    assert "evidence_benign" in frame.columns


def test_without_pandas_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DependencyError, match=r"pip install pandas$"):
        make_result().to_dataframe()


def test_a_result_says_in_one_line_what_it_is() -> None:
    assert repr(make_result()) == "<SlideResult Präparat 7.svs: malignant 60 %, 50 patches, 1 flag>"
    assert "no reliable prediction, 0 patches" in repr(make_result(0))


def test_predicted_class() -> None:
    assert make_result().predicted == "malignant"
    assert make_result(0).predicted is None


def test_the_threshold_of_the_model_decides(tmp_path: Path) -> None:
    plain = make_result()
    assert plain.rule == ""
    strict = dataclasses.replace(plain, model={**plain.model, "threshold": 0.625})
    assert (strict.predicted, strict.rule) == ("benign", "malignant is predicted above 62.5 %")
    strict.save(tmp_path)
    assert SlideResult.load(tmp_path).predicted == "benign"
    assert json.loads((tmp_path / "result.json").read_text())["predicted"] == "benign"


def test_tables_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        make_result().patches.attention[0] = 1


def test_files_say_what_they_are_for(tmp_path: Path) -> None:
    make_result().save(tmp_path)
    data = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert data["notice"] == NOTICE
    assert data["probability_of"] == {"benign": 0.4, "malignant": 0.6}
    lines = (tmp_path / "tiles.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("x,y,width,height,")
    assert "attention_logit,attention,evidence_benign,evidence_malignant" in lines[0]
    assert len(lines) == 51
    assert all(line.endswith(NOTICE) for line in lines[1:])


def drop_a_row(folder: Path) -> None:
    table = folder / "tiles.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:-1]) + "\n")


def cut_a_row(folder: Path) -> None:
    table = folder / "tiles.csv"
    table.write_text(table.read_text()[:-60])


def change_a_number(folder: Path) -> None:
    table = folder / "tiles.csv"
    table.write_text(table.read_text().replace("1501.0,", "a lot,", 1))


def rename_a_class(folder: Path) -> None:
    table = folder / "tiles.csv"
    table.write_text(table.read_text().replace("evidence_benign", "evidence_other", 1))


def lose_the_table(folder: Path) -> None:
    (folder / "tiles.csv").unlink()


def come_from_the_future(folder: Path) -> None:
    file = folder / "result.json"
    file.write_text(file.read_text().replace('"format_version": 1', '"format_version": 2'))


def be_something_else(folder: Path) -> None:
    (folder / "result.json").write_text('{"format": "a shopping list"}')


def be_cut(folder: Path) -> None:
    file = folder / "result.json"
    file.write_text(file.read_text()[:200])


def lose_a_key(folder: Path) -> None:
    file = folder / "result.json"
    data = json.loads(file.read_text())
    del data["grid"]["origin_x"]
    file.write_text(json.dumps(data))


@pytest.mark.parametrize(
    "harm",
    [
        drop_a_row,
        cut_a_row,
        change_a_number,
        rename_a_class,
        lose_the_table,
        come_from_the_future,
        be_something_else,
        be_cut,
        lose_a_key,
    ],
)
def test_altered_results_are_refused(harm: Callable[[Path], None], tmp_path: Path) -> None:
    make_result().save(tmp_path)
    harm(tmp_path)
    with pytest.raises(ResultError):
        SlideResult.load(tmp_path)


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"result\.json"):
        SlideResult.load(tmp_path)


def test_unwritable_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match="may write to"):
        make_result().save(tmp_path / "file" / "folder")
    assert [item.name for item in tmp_path.iterdir()] == ["file"]
