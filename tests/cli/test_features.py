"""`napari-xmag features`: a store that says whose features are whose, by one process or several."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_xmag.cli import main
from napari_xmag.features.store import FeatureStore
from napari_xmag.nets.folders.build import load_folder
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tiles import read_tile
from tests.slides import draw_section, write_pyramid

pytestmark = pytest.mark.usefixtures("graphs_of_children")
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoded")
    for seed, name in enumerate("abc"):
        write_pyramid(folder / f"{name}.tiff", draw_section(1000, 700, seed=seed), factors=(1,))
    (folder / "d-broken.svs").write_bytes(b"not a slide")
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return list(csv.DictReader(stream))


def test_features_are_those_of_the_encoder(slides: Path, tiny: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    command = [str(slides / "a.tiff"), "--model", tiny, "--out", str(store)]
    assert main(["features", *command, "--tissue", "whole", "--precision", "float32"]) == 0
    (kept,) = FeatureStore(store).entries()
    model = load_folder(Path(tiny))
    with open_slide(slides / "a.tiff") as slide:
        assert len(kept) == kept.shape[0] * kept.shape[1] > 10
        for row in (0, len(kept) // 2, len(kept) - 1):
            left, top, right, bottom = kept.corners()[row]
            box = type(slide.bounds)(left, top, right - left, bottom - top)
            pixels = read_tile(slide, box, kept.key.tile_px)
            tile = torch.from_numpy(pixels).permute(2, 0, 1)[None]
            with torch.inference_mode():
                expected = model.student.eval()(tile).embedding[0].numpy()
            np.testing.assert_allclose(kept.features[row], expected, rtol=5e-3, atol=5e-3)
    (index,) = rows(store / "index.csv")
    assert (index["slide"], index["fingerprint"]) == ("a.tiff", kept.key.slide)
    assert index["folder"] == FeatureStore(store).place(kept.key).name
    assert (int(index["patches"]), int(index["dimensions"])) == kept.features.shape


def test_workers_keep_the_same_and_a_second_run_encodes_nothing(
    slides: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    common = ["features", str(slides), "--model", tiny, "--tissue", "whole"]
    assert main([*common, "--out", str(one), "--workers", "0"]) == 1
    assert main([*common, "--out", str(two), "--workers", "2", "--progress", "json"]) == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[0] == "{"]
    finished = [event for event in events if event["event"] == "finished"]
    assert {event["name"] for event in finished} == {"a.tiff", "b.tiff", "c.tiff"}
    for entry in FeatureStore(one).entries():
        other = FeatureStore(two).find(entry.key)
        assert other is not None
        np.testing.assert_array_equal(entry.features, other.features)
        np.testing.assert_array_equal(entry.columns, other.columns)
    assert [row["slide"] for row in rows(two / "index.csv")] == ["a.tiff", "b.tiff", "c.tiff"]
    assert [row["slide"] for row in rows(two / "failed.csv")] == ["d-broken.svs"]
    # whole ones are kept, an altered one is made anew
    before = {path: path.stat().st_mtime_ns for path in two.glob("*/about.json")}
    damaged = sorted(before)[0].parent / "features.npy"
    damaged.write_bytes(damaged.read_bytes()[:-2] + b"\x00\x01")
    assert main([*common, "--out", str(two), "--workers", "0"]) == 1
    assert "3 of 4 slides encoded, 2 of them earlier" in capsys.readouterr().out
    changed = [path.parent for path, when in before.items() if path.stat().st_mtime_ns != when]
    assert changed == [damaged.parent]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(["--model", "unheard-of"], "unheard-of"), (["--min-tissue", "2"], "min_tissue")],
)
def test_wrong_usage(
    wrong: list[str], said: str, slides: Path, tiny: str, tmp_path: Path, capsys: Captured
) -> None:
    encoder = [] if "--model" in wrong else ["--model", tiny]
    command = ["features", str(slides), "--out", str(tmp_path / "out"), *encoder, *wrong]
    assert main(command) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
