"""Model folders: saved, checked, refused, listed, added, fetched."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard

from napari_xmag import NOTICE, zoo
from napari_xmag.cli import models as command
from napari_xmag.errors import ModelError
from napari_xmag.nets.folders.build import model_card
from napari_xmag.nets.model import SlideModel
from napari_xmag.nets.student import Student
from napari_xmag.zoo import (
    add_model,
    check_model,
    list_models,
    load_model,
    pull_model,
    save_model,
)
from tests.nets.students import CASES, Case, tiny_model


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good model folder; copy it before altering it."""
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    save_model(tiny_model(), folder, card={"Data": "Noise, made by the tests."})
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of the models that come with napari-xmag."""
    place = tmp_path / "bundled"
    place.mkdir()
    monkeypatch.setattr(zoo, "bundled_folder", lambda: place)
    return place


def _tiles(side: int) -> torch.Tensor:
    pixels = np.random.default_rng(1).integers(0, 256, (3, 3, side, side), dtype=np.uint8)
    return torch.from_numpy(pixels)


def _answer(model: SlideModel) -> torch.Tensor:
    with torch.no_grad():
        features = model.student(_tiles(model.info.tile_px)).embedding
        logits: torch.Tensor = model.head(features).logits
    return logits


def test_loaded_model_answers_as_the_saved_one(folder: Path) -> None:
    model, again = tiny_model(), load_model(folder)
    torch.testing.assert_close(_answer(again), _answer(model), rtol=0, atol=0)
    assert not again.training
    assert again.student.spec == model.student.spec
    assert replace(again.info, sha256="", training_range=None) == replace(
        model.info, training_range=None
    )
    trained, loaded = model.info.training_range, again.info.training_range
    assert trained is not None
    assert loaded is not None
    np.testing.assert_array_equal(loaded.mean, trained.mean)
    assert (loaded.limit, loaded.slides) == (trained.limit, trained.slides)


def test_folder_holds_four_files_and_the_model_is_pinned_by_its_config(folder: Path) -> None:
    import hashlib

    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "head.safetensors", "README.md"}
    raw = (folder / "config.json").read_bytes()
    assert check_model(folder).sha256 == hashlib.sha256(raw).hexdigest()
    for name, sha256 in json.loads(raw)["xmag"]["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_folder_is_what_timm_loads(case: Case, tmp_path: Path) -> None:
    import timm

    small = tiny_model(with_range=False)
    student = case.student()
    info = replace(small.info, tile_px=case.tile_px)
    head = type(small.head)(student.dim, 4, 2)
    save_model(SlideModel(student, head, info), tmp_path / "m")
    backbone = timm.create_model(f"local-dir:{tmp_path / 'm'}", pretrained=True).eval()
    assert backbone.num_classes == 0
    again = Student(backbone, student.spec).eval()
    with torch.no_grad():
        torch.testing.assert_close(
            again(_tiles(case.tile_px)).embedding,
            student(_tiles(case.tile_px)).embedding,
            rtol=0,
            atol=0,
        )
    config = timm.data.resolve_model_data_config(backbone)
    assert config["input_size"][-1] == case.tile_px
    assert tuple(config["mean"]) == student.spec.mean


def test_a_model_folder_keeps_how_many_layers_are_read(tmp_path: Path) -> None:
    small = tiny_model(with_range=False)
    student = Student(small.student.backbone, replace(small.student.spec, layers=2)).eval()
    model = SlideModel(student, type(small.head)(student.dim, 4, 2), small.info)
    save_model(model, tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.student.spec.layers == 2
    assert again.student.dim == 2 * small.student.dim
    torch.testing.assert_close(_answer(again), _answer(model), rtol=0, atol=0)


def test_saved_again_after_loading_it_is_the_same_model(folder: Path, tmp_path: Path) -> None:
    """Fine-tuning loads and saves: what timm needs to build the network must not get lost."""
    save_model(load_model(folder), tmp_path / "again")
    torch.testing.assert_close(
        _answer(load_model(tmp_path / "again")), _answer(tiny_model()), rtol=0, atol=0
    )


def test_model_card_states_facts_notice_and_sections(folder: Path) -> None:
    text = (folder / "README.md").read_text(encoding="utf-8")
    for words in (NOTICE, "demonstration model", "64×64 px at 2 µm/px", "benign, malignant"):
        assert words in text
    assert "## Data\n\nNoise, made by the tests." in text


@pytest.mark.parametrize(
    ("licence", "identifier", "name"),
    [
        ("Apache-2.0", "apache-2.0", None),
        ("CC BY-NC-ND 4.0", "cc-by-nc-nd-4.0", None),
        ("Owkin: non-commercial", "other", "owkin:-non-commercial"),
        ("not stated", "other", "not-stated"),
    ],
)
def test_the_hub_reads_the_head_of_a_card(licence: str, identifier: str, name: str | None) -> None:
    model = tiny_model()
    model.info = replace(model.info, licence=licence)
    data = ModelCard(model_card(model, {})).data
    assert (data.license, data.license_name) == (identifier, name)
    assert (data.library_name, data.tags) == ("timm", ["napari-xmag", "pathology"])


@pytest.mark.parametrize("name", ["model.safetensors", "head.safetensors", "README.md"])
def test_altered_file_is_refused_by_name(folder: Path, name: str) -> None:
    raw = bytearray((folder / name).read_bytes())
    raw[-1] ^= 1
    (folder / name).write_bytes(raw)
    with pytest.raises(ModelError, match=f"altered {name}"):
        load_model(folder)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "head.safetensors", "README.md"]
)
def test_missing_file_is_refused_by_name(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"no (readable )?{name}"):
        load_model(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "head.pt", "extra.PKL", "model.pth"])
def test_folder_with_a_pickled_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x80\x04never read")
    with pytest.raises(ModelError, match=f"{name}.*never read"):
        check_model(folder)


def _rewrite(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["xmag"] |= changes
    path.write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"format": 99}, "format 99"),
        ({"files": {}}, "no SHA-256 for each"),
        ({"files": {"../../etc/passwd": "0"}}, "no SHA-256 for each"),
        ({"classes": ["one"]}, "fewer than two classes"),
        ({"classes": None}, "incomplete"),
        ({"name": "../outside"}, "letters, digits"),
        ({"mpp": "two"}, "incomplete"),
        ({"training_range": {"limit": "far"}}, "incomplete"),
    ],
)
def test_impossible_config_is_refused_with_the_reason(
    folder: Path, changes: dict[str, object], reason: str
) -> None:
    _rewrite(folder, **changes)
    with pytest.raises(ModelError, match=reason):
        check_model(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ["a", "b", "c"]},
        {"head": {"dim": 48, "hidden": 9, "classes": 2}},
        {"head": {}},
        {"embedding": "max"},
        {"tile_px": 100},
        {"mean": [0.5]},
    ],
)
def test_weights_that_do_not_fit_their_description_are_refused(
    folder: Path, changes: dict[str, object]
) -> None:
    _rewrite(folder, **changes)
    with pytest.raises(ModelError):
        load_model(folder)


def test_plain_timm_folder_is_told_from_a_slide_model(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["xmag"]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="a network, but not a slide model"):
        check_model(folder)


def test_saving_leaves_nothing_behind_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_xmag.nets.folders import folder as folder_module

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folder_module, "write_config", full)
    with pytest.raises(ModelError, match="No space left"):
        save_model(tiny_model(), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_existing_folder_is_replaced_only_when_allowed(folder: Path) -> None:
    with pytest.raises(ModelError, match="an existing folder"):
        save_model(tiny_model(), folder)
    before = check_model(folder).sha256
    model = tiny_model()
    model.info = replace(model.info, temperature=3.0)
    assert save_model(model, folder, replace=True).sha256 != before
    assert load_model(folder).info.temperature == 3.0


def test_a_threshold_is_kept_and_an_older_model_has_none(folder: Path) -> None:
    model = tiny_model()
    model.info = replace(model.info, threshold=0.63)
    save_model(model, folder, replace=True)
    assert load_model(folder).info.threshold == 0.63
    assert "malignant is predicted above 63 %" in (folder / "README.md").read_text(encoding="utf-8")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["xmag"]["threshold"]
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert load_model(folder).info.threshold == 0.5


def test_backbone_that_would_not_load_again_is_not_saved(tmp_path: Path) -> None:
    """Half the layers went missing from what timm is told."""
    model = tiny_model()
    model.student.model_args["depth"] = 1
    with pytest.raises(ModelError):
        save_model(model, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_models_are_listed_with_what_is_wrong_with_them(saved: Path, bundled: Path) -> None:
    shutil.copytree(saved, bundled / "tiny")
    shutil.copytree(saved, bundled / "broken")
    (bundled / "broken" / "head.safetensors").unlink()
    (bundled / ".hidden").mkdir()
    broken, good = list_models()
    assert (good.name, good.problem) == ("tiny", "")
    assert good.info is not None
    assert good.info.classes == ("benign", "malignant")
    assert (broken.name, broken.info) == ("broken", None)
    assert "no head.safetensors" in broken.problem


def test_default_comes_first_and_is_loaded_when_none_is_named(
    bundled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("zebra", "aardvark"):
        save_model(tiny_model(name, with_range=False), bundled / name)
    monkeypatch.setattr(zoo, "DEFAULT_MODEL", "zebra")
    assert [entry.name for entry in list_models()] == ["zebra", "aardvark"]
    assert load_model().info.name == "zebra"


def test_unknown_model_is_an_error_that_names_the_known(saved: Path, bundled: Path) -> None:
    shutil.copytree(saved, bundled / "tiny")
    with pytest.raises(ModelError, match=r"'tinny'.*known models: tiny"):
        load_model("tinny")


def test_added_model_is_found_by_name_and_only_its_files_are_taken(
    folder: Path, bundled: Path
) -> None:
    (folder / "notes.txt").write_text("mine")
    entry = add_model(folder)
    assert entry.folder.parent == zoo.user_folder()
    assert not (entry.folder / "notes.txt").exists()
    assert load_model("tiny").info.sha256 == check_model(folder).sha256
    with pytest.raises(ModelError, match="an existing folder"):
        add_model(folder)
    add_model(folder, replace=True)


def test_bundled_name_cannot_be_taken(folder: Path, bundled: Path) -> None:
    shutil.copytree(folder, bundled / "tiny")
    with pytest.raises(ModelError, match="name of a model that comes with"):
        add_model(folder)


def test_altered_model_is_not_added(folder: Path, bundled: Path) -> None:
    (folder / "README.md").write_text("another card")
    with pytest.raises(ModelError, match="altered"):
        add_model(folder)
    assert not list_models()


def test_pulling_takes_safe_files_only_and_checks_them(
    saved: Path, bundled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def download(repository: str, *, local_dir: Path, **how: object) -> str:
        asked[repository] = how
        shutil.copytree(saved, local_dir, dirs_exist_ok=True)
        (local_dir / ".cache").mkdir()
        return str(local_dir)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    entry = pull_model("hf-hub:someone/tiny@v2")
    assert asked["someone/tiny"] == {
        "revision": "v2",
        "allow_patterns": ["*.safetensors", "*.json", "*.md"],
    }
    assert list_models() == [entry]
    assert not (entry.folder / ".cache").exists()


def test_pulling_without_connection_is_an_error_in_words(
    bundled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def download(*_: object, **__: object) -> str:
        raise ConnectionError("offline")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(ModelError, match="Check the name and your connection"):
        pull_model("hf-hub:someone/tiny")


@pytest.mark.parametrize("source", ["someone/tiny", "hf-hub:tiny", "hf-hub:a/b/c"])
def test_only_hub_names_are_pulled(source: str) -> None:
    with pytest.raises(ModelError, match="hf-hub:owner/name"):
        pull_model(source)


def test_listing_loads_neither_torch_nor_timm() -> None:
    code = (
        "import sys; from napari_xmag import zoo; zoo.list_models(); "
        "sys.exit(' '.join({'torch', 'timm', 'napari'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _run(*words: str) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return command.run(parser.parse_args(["models", *words]))


def test_command_lists_adds_and_checks(
    folder: Path, bundled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run("list") == 0
    assert "No models" in capsys.readouterr().out
    assert _run("add", str(folder)) == 0
    assert _run("list") == 0
    heading, row = capsys.readouterr().out.splitlines()[-2:]
    assert heading.split() == ["name", "mpp", "tile", "classes", "licence", "sha256", "problem"]
    assert row.startswith("tiny (demonstration)  2    64 px  benign, malignant  BSD-3-Clause")
    assert check_model(folder).sha256[:12] in row
    assert _run("check") == 0
    assert "complete and unaltered" in capsys.readouterr().out


def test_command_names_what_is_wrong(
    folder: Path, bundled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "README.md").write_text("another card")
    assert _run("check", str(folder), "nobody") == 1
    assert _run("add", str(folder)) == 1
    errors = capsys.readouterr().err
    assert "altered README.md" in errors
    assert "'nobody'" in errors
    shutil.move(folder, bundled / "tiny")
    assert _run("list") == 1
    assert "altered README.md" in capsys.readouterr().out
