"""From annotated slides to a model that analyzes others, by Python and by the command line."""

import csv
import json
import re
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from napari_xmag.analyze import AnalyzeSettings, analyze_slide
from napari_xmag.analyze.flags import FlagCode
from napari_xmag.analyze.result import SlideResult
from napari_xmag.batch.targets import Target
from napari_xmag.cli import main
from napari_xmag.cli.teach import _classed_files
from napari_xmag.errors import ModelError, TeachError, TissueError
from napari_xmag.features.store import FeatureStore
from napari_xmag.filenames import HEAD
from napari_xmag.geometry import Box
from napari_xmag.nets.folders.stored import StoredModel
from napari_xmag.nets.heads.patch_classifier import NOT_TAUGHT
from napari_xmag.qupath.annotation_files import AnnotationFiles
from napari_xmag.slide.open import open_slide
from napari_xmag.slide.tissue import find_tissue
from napari_xmag.teach.annotations import (
    PolygonSettings,
    example_features,
    map_features,
    read_examples,
    write_annotations,
)
from napari_xmag.teach.classifier import fit
from napari_xmag.teach.model_folder import save_taught_model
from napari_xmag.teach.prepared import prepare_slide
from napari_xmag.teach.session import TeachSession
from napari_xmag.teach.teach import TaughtSlide, teach, teach_slide
from napari_xmag.zoo import list_models, load_model, open_model, save_model, user_folder
from tests.analyze.orange_model import orange_tissue
from tests.analyze.test_kept_features import finished, unreadable
from tests.nets.folders.test_hostile_folders import pinned
from tests.nets.students import tiny_model
from tests.qupath.projects import entry, server, unusable_images, write_project, write_sections
from tests.qupath.rings import outline_rings
from tests.qupath.shapes import annotation, polygon, square, write
from tests.slides import draw_section, write_leica

pytestmark = pytest.mark.usefixtures("float32_cpu")

FAST = AnalyzeSettings(engine="torch", precision="float32", batch_size=16)
ORANGE = Box(1000, 400, 600, 700)


def rectangle(box: Box, name: str) -> dict[str, object]:
    corners = [[box.x, box.y], [box.right, box.y], [box.right, box.bottom], [box.x, box.bottom]]
    geometry = {"type": "Polygon", "coordinates": [[*corners, corners[0]]]}
    properties = {"objectType": "annotation", "classification": {"name": name}}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two slides with bounds and an orange place, annotated as QuPath would, and an encoder."""
    folder = tmp_path_factory.mktemp("taught")
    (folder / "annotations").mkdir()
    for name, seed in (("one", 3), ("two", 4)):
        pixels = draw_section(2400, 1600, seed=seed)
        x, y, w, h = (round(v) for v in (ORANGE.x, ORANGE.y, ORANGE.width, ORANGE.height))
        pixels[y : y + h, x : x + w] = orange_tissue(w, h)
        write_leica(folder / f"{name}.scn", pixels, mpp=1.0, offset=(1501, 2003))
        shown = [
            rectangle(Box(1020, 420, 560, 660), "Orange"),
            rectangle(Box(620, 520, 330, 560), "Pink"),
        ]
        file = folder / "annotations" / f"{name}.geojson"
        file.write_text(json.dumps({"type": "FeatureCollection", "features": shown}))
    save_model(tiny_model("tiny-encoder"), folder / "tiny-encoder")
    return folder


@pytest.fixture(scope="module")
def store(folder: Path) -> FeatureStore:
    return FeatureStore(folder / "store")


@pytest.fixture(scope="module")
def model(folder: Path, store: FeatureStore) -> StoredModel:
    encoder = folder / "tiny-encoder"
    annotations = folder / "annotations"
    return teach(
        [folder / "one.scn"], annotations, folder / "orange-pink", encoder=encoder, store=store
    )


def in_orange(result: SlideResult, corner: Box, margin: float = 0) -> np.ndarray:
    place = ORANGE.shifted(corner.x, corner.y)
    x = result.patches.x + result.patches.width / 2
    y = result.patches.y + result.patches.height / 2
    across = (x > place.x - margin) & (x < place.right + margin)
    return across & (y > place.y - margin) & (y < place.bottom + margin)


def test_a_slide_that_was_not_annotated_is_mapped(folder: Path, model: StoredModel) -> None:
    with closing(open_slide(folder / "two.scn")) as slide:
        result = analyze_slide(slide, model, FAST)
        inside, near = in_orange(result, slide.bounds, -70), in_orange(result, slide.bounds, 70)
    assert result.classes == ("Orange", "Pink", NOT_TAUGHT)
    labels = result.patches.evidence.argmax(1)
    assert (labels[inside] == 0).mean() > 0.95
    assert (labels[~near] == 0).mean() < 0.02
    shares = [result.patches.attention[labels == index].sum() for index in range(3)]
    np.testing.assert_allclose(result.probabilities, shares, atol=1e-5)
    assert sum(result.probabilities) == pytest.approx(1)
    assert result.headline.endswith("of the tissue")
    assert "Orange" in result.headline
    assert FlagCode.DEGENERATE_MAP not in {flag.code for flag in result.flags}
    assert result.model["head"] == "patch_classifier"


def test_its_result_is_saved_without_loss(folder: Path, model: StoredModel, tmp_path: Path) -> None:
    with closing(open_slide(folder / "two.scn")) as slide:
        result = analyze_slide(slide, model, FAST)
    result.save(tmp_path)
    again = SlideResult.load(tmp_path)
    assert (again.headline, again.probabilities) == (result.headline, result.probabilities)
    np.testing.assert_array_equal(again.patches.evidence, result.patches.evidence)


def test_teaching_and_analysing_give_one_map_and_encode_once(
    folder: Path, model: StoredModel, store: FeatureStore
) -> None:
    with closing(open_slide(folder / "one.scn")) as slide:
        mask = find_tissue(slide)
        # the encoder that taught it and the copy in the model are the same
        result = analyze_slide(unreadable(slide), model, FAST, mask, store=store)
        plain = analyze_slide(slide, model, FAST, mask)
        encoder = open_model(folder / "tiny-encoder")
        features = finished(encode_slide_of(unreadable(slide), encoder, store, mask))
        session = TeachSession()
        session.clear_classes()
        prepared = prepare_slide(features, mask)
        session.open_slide(prepared)
        file = folder / "annotations" / "one.geojson"
        session.add_examples(read_examples(file, prepared, slide.bounds).lesson)
        taught = fit(session.request())
    rows = features.where(result.columns, result.rows)
    shown = taught.maps[prepared.id].evidence[rows]
    found = result.patches.evidence / result.patches.attention[:, None]
    np.testing.assert_allclose(found, shown, atol=1e-4)
    np.testing.assert_allclose(result.probabilities, plain.probabilities, atol=0.02)


def encode_slide_of(slide, encoder, store, mask):  # type: ignore[no-untyped-def]
    from napari_xmag.analyze.engine import encode_slide

    return encode_slide(slide, encoder, store, FAST, mask)


def test_annotations_beyond_the_tissue_teach_when_asked_for(
    folder: Path, store: FeatureStore, tmp_path: Path
) -> None:
    """A class of glass alone, beside areas that touch the tissue."""
    encoder = open_model(folder / "tiny-encoder")
    wide = Box(1020, 420, 560, 660)
    for name, glass in (("near", Box(10, 10, 270, 270)), ("far", Box(9000, 10, 270, 270))):
        shown = [rectangle(wide, "Orange"), rectangle(Box(620, 520, 330, 560), "Pink")]
        features = [*shown, rectangle(glass, "Fat")]
        text = json.dumps({"type": "FeatureCollection", "features": features})
        (tmp_path / f"{name}.geojson").write_text(text)

    def taught(name: str, beyond: bool) -> TaughtSlide:
        session = TeachSession()
        session.clear_classes()
        of = session, encoder, store, tmp_path / f"{name}.geojson"
        with closing(open_slide(folder / "one.scn")) as slide:
            steps = teach_slide(of[0], slide, *of[1:], settings=FAST, beyond_tissue=beyond)
            done: TaughtSlide = finished(steps)  # type: ignore[assignment, arg-type]
        return done

    plain = taught("near", beyond=False)
    assert "Fat (1 of 1 areas and points on glass" in plain.unused
    more = taught("near", beyond=True)
    assert more.unused == ""
    added = len(more.prepared.features) - len(plain.prepared.features)
    assert added == more.examples - plain.examples >= 4
    beside = taught("far", beyond=True)  # not on the slide at all
    assert "Fat (1 of 1 areas and points on glass" in beside.unused
    assert beside.examples == plain.examples
    assert len(taught("near", beyond=False).prepared.features) == len(plain.prepared.features)


def test_the_folder_states_what_was_taught_and_stands_alone(
    folder: Path, model: StoredModel
) -> None:
    assert model.info.colors[-1] == (180, 180, 180)
    facts = model.content.xmag["taught"]
    assert min(facts["examples"]) > 5
    assert facts["slides"] == 1
    assert "Too few" in facts["words"]
    assert model.fingerprint() == open_model(folder / "tiny-encoder").fingerprint()
    with pytest.raises(ModelError, match="taught by examples"):
        load_model(folder / "orange-pink")


def harm_reach(config: dict) -> None:  # type: ignore[type-arg]
    config["xmag"]["head"]["least_likeness"] = -1


def harm_classes(config: dict) -> None:  # type: ignore[type-arg]
    config["xmag"]["classes"] = ["Orange", "Pink", "Other"]


def harm_colors(config: dict) -> None:  # type: ignore[type-arg]
    config["xmag"]["colors"] = [[1, 2, 300]] * 3


def harm_sizes(config: dict) -> None:  # type: ignore[type-arg]
    config["xmag"]["head"]["components"] = 7


def harm_spreading(config: dict) -> None:  # type: ignore[type-arg]
    config["xmag"]["head"]["spreading"] = 1


def harm_labels(config: dict) -> None:  # type: ignore[type-arg]
    del config["xmag"]["head"]["spreading"]


def harm_kind(config: dict) -> None:  # type: ignore[type-arg]
    config["xmag"]["head"]["kind"] = "forest"


@pytest.mark.parametrize(
    "harm",
    [
        *(harm_reach, harm_classes, harm_colors, harm_sizes, harm_spreading, harm_labels),
        harm_kind,
    ],
    ids=lambda f: f.__name__,
)
def test_a_folder_that_cannot_be_is_refused(model: StoredModel, tmp_path: Path, harm) -> None:  # type: ignore[no-untyped-def]
    copy = pinned(copied(model, tmp_path), harm)
    with pytest.raises(ModelError):
        StoredModel.open(copy)
    (copy / HEAD).unlink()


@pytest.mark.parametrize("label", [-1.0, 0.5, 2.0])
def test_labels_of_no_class_are_refused(model: StoredModel, tmp_path: Path, label: float) -> None:
    copy = copied(model, tmp_path)
    arrays = load_file(copy / HEAD)
    arrays["labels"] = np.full_like(arrays["labels"], label)
    save_file(arrays, copy / HEAD)
    pinned(copy)
    with pytest.raises(ModelError, match="none of the classes"):
        StoredModel.open(copy)


def test_a_model_of_before_classes_spread_still_serves(
    folder: Path, model: StoredModel, store: FeatureStore, tmp_path: Path
) -> None:
    copy = copied(model, tmp_path)
    arrays = load_file(copy / HEAD)
    del arrays["labels"]
    save_file(arrays, copy / HEAD)
    pinned(copy, harm_labels)
    with closing(open_slide(folder / "two.scn")) as slide:
        result = analyze_slide(slide, StoredModel.open(copy), FAST, store=store)
        orange = in_orange(result, slide.bounds)
    assert result.patches.evidence[orange].argmax(1).tolist() == [0] * orange.sum()


def copied(model: StoredModel, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model.content.folder, tmp_path / "copy"))


def test_another_encoder_cannot_save_what_was_taught(
    folder: Path, store: FeatureStore, model: StoredModel, tmp_path: Path
) -> None:
    encoder = open_model(folder / "tiny-encoder")
    with closing(open_slide(folder / "one.scn")) as slide:
        mask = find_tissue(slide)
        features = finished(encode_slide_of(slide, encoder, store, mask))
    session = TeachSession()
    session.open_slide(prepare_slide(features, mask))
    (prepared,) = session.slides
    session.mark(prepared.id, [0, 1], "Tumor")
    session.mark(prepared.id, [40, 41], "Other")
    taught = fit(session.request())
    changed = replace(encoder, content=replace(encoder.content, encoder_fingerprint="0" * 64))
    with pytest.raises(ModelError, match="another one"):
        save_taught_model(taught, changed, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    with pytest.raises(ModelError, match="name"):
        save_taught_model(taught, encoder, tmp_path / "new model")


def test_examples_come_back_from_geojson(folder: Path, store: FeatureStore, tmp_path: Path) -> None:
    with closing(open_slide(folder / "one.scn")) as slide:
        mask = find_tissue(slide)
        encoder = open_model(folder / "tiny-encoder")
        prepared = prepare_slide(finished(encode_slide_of(slide, encoder, store, mask)), mask)
        frame = slide.bounds
    read = read_examples(folder / "annotations" / "one.geojson", prepared, frame)
    lesson = read.lesson
    write_annotations(example_features(lesson, prepared.id, frame), tmp_path / "points.geojson")
    again = read_examples(tmp_path / "points.geojson", prepared, frame).lesson
    assert set(again.examples) == set(lesson.examples)
    assert again.classes == lesson.classes
    assert not read.unused
    assert read.words == f"{len(lesson.examples)} examples were imported"
    with pytest.raises(TissueError, match="on the tissue"):
        read_examples(tmp_path / "points.geojson", prepared, frame.shifted(1e5, 0))


def test_the_map_is_polygons_of_its_classes(folder: Path, store: FeatureStore) -> None:
    import shapely

    with closing(open_slide(folder / "one.scn")) as slide:
        mask, frame = find_tissue(slide), slide.bounds
        encoder = open_model(folder / "tiny-encoder")
        prepared = prepare_slide(finished(encode_slide_of(slide, encoder, store, mask)), mask)
    session = TeachSession()
    session.clear_classes()
    session.open_slide(prepared)
    read = read_examples(folder / "annotations" / "one.geojson", prepared, frame)
    session.add_examples(read.lesson)
    taught = fit(session.request())
    features = map_features(taught, prepared, frame)
    labels = taught.maps[prepared.id].labels
    for index, name in enumerate(taught.classes):
        shapes = [
            shapely.from_geojson(json.dumps(f["geometry"]))
            for f in features
            if f["properties"]["classification"]["name"] == name
        ]
        area = sum(shape.area for shape in shapes)
        patch = prepared.features.stride_x * prepared.features.stride_y
        assert area == pytest.approx((labels == index).sum() * patch, rel=0.05)
    large = map_features(taught, prepared, frame, PolygonSettings(least_um2=1e5, smooth=True))
    assert 0 < len(large) <= len(features)


def test_the_command_line_teaches_and_analyses(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slides = [str(folder / name) for name in ("one.scn", "two.scn")]
    asked = ["--annotations", str(folder / "annotations"), "--name", "orange"]
    asked += ["--encoder", str(folder / "tiny-encoder"), "--areas", str(tmp_path / "areas.csv")]
    assert main(["teach", *slides, *asked]) == 0
    said = capsys.readouterr().out
    assert "Saved to" in said
    assert "Orange" in said
    assert (user_folder() / "orange").is_dir()
    assert "orange" in [entry.name for entry in list_models() if not entry.problem]
    with (tmp_path / "areas.csv").open(newline="") as stream:
        assert {line["class"] for line in csv.DictReader(stream)} == {"Orange", "Pink", NOT_TAUGHT}
    assert main(["analyze", slides[1], "--model", "orange", "--out", str(tmp_path / "out")]) == 0
    assert "of the tissue" in capsys.readouterr().out
    used = json.loads((tmp_path / "out" / "two" / "result.json").read_text())["settings"]
    assert used["engine"] == "kept features"


def test_finer_areas_and_outlines_on_the_command_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["teach", str(folder / "one.scn"), "--annotations", str(folder / "annotations")]
    asked += ["--encoder", str(folder / "tiny-encoder"), "--name", "finer"]
    assert main([*asked, "--finer"]) == 2
    assert "--areas or --outlines" in capsys.readouterr().err
    sides = {}
    for name, more in (("plain", []), ("finer", ["--finer"])):
        out = ["--outlines", str(tmp_path / name), "--replace"]
        assert main([*asked, *out, *more]) == 0
        found = json.loads((tmp_path / name / "one-classes.geojson").read_text())["features"]
        assert {f["properties"]["classification"]["name"] for f in found} == {"Orange", "Pink"}
        steps = np.concatenate([np.diff(ring, axis=0).ravel() for ring in outline_rings(found)])
        sides[name] = np.abs(steps[steps != 0]).min()
    assert sides["finer"] == pytest.approx(sides["plain"] / 2, abs=0.02)
    shaped = ["--outlines", str(tmp_path / "shaped"), "--smooth", "--min-area", "100000"]
    assert main([*asked, *shaped, "--replace"]) == 0
    found = json.loads((tmp_path / "shaped" / "one-classes.geojson").read_text())["features"]
    steps = np.concatenate([np.diff(ring, axis=0) for ring in outline_rings(found)])
    assert (np.abs(steps).min(axis=1) > 0.5).any()  # no longer along the grid alone
    assert main([*asked, "--smooth"]) == 2


def test_images_of_a_project_teach_by_their_exported_annotations(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = entry(1, server(folder / "one.scn"), imageName="biopsy 17")
    # its name less ".8" is that of the first; it has no annotations of its own
    other = entry(2, server(folder / "two.scn"), imageName="biopsy 17.8")
    rotated = {"builderType": "rotated", "rotation": "ROTATE_90", "builder": other["serverBuilder"]}
    lost = {"builderType": "uri", "uri": "file:/nowhere/a.svs"}
    unusable = [entry(3, rotated, imageName="turned"), entry(4, lost, imageName="lost")]
    (tmp_path / "broken.svs").write_bytes(b"II*\0 no slide")
    broken = {"builderType": "uri", "uri": (tmp_path / "broken.svs").as_uri()}
    unusable += [entry(5, broken, imageName="broken")]
    unusable += [entry(6, server(folder / "two.scn", size=(9, 9)), imageName="overview")]
    project = write_project(tmp_path / "project.qpproj", shown, other, *unusable)
    exported = tmp_path / "annotations"
    exported.mkdir()
    annotations = (folder / "annotations" / "one.geojson").read_bytes()
    (exported / "biopsy 17.geojson").write_bytes(annotations)
    asked = ["--annotations", str(exported), "--name", "of-project"]
    asked += ["--encoder", str(folder / "tiny-encoder")]
    assert main(["teach", str(project), *asked]) == 0
    said = capsys.readouterr()
    left_out = {line for line in said.err.splitlines() if "eft out" in line}
    assert "Left out, without annotations of a class: biopsy 17.8" in left_out
    assert any(line.startswith("turned: ") and "rotated in QuPath" in line for line in left_out)
    assert any(line.startswith("lost: ") and "nowhere" in line for line in left_out)
    assert any(line.startswith("broken: left out. Expected") for line in left_out)
    assert any(line.startswith("overview: ") and "shows 9×9" in line for line in left_out)
    (examples,) = [line for line in said.out.splitlines() if "Examples:" in line]
    direct = ["--annotations", str(folder / "annotations"), "--name", "direct", *asked[-2:]]
    assert main(["teach", str(folder / "one.scn"), *direct]) == 0
    assert examples in capsys.readouterr().out
    assert open_model("of-project").info.classes == ("Orange", "Pink", NOT_TAUGHT)


def test_unusable_images_of_a_project_are_named_and_the_others_teach(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = entry(1, server(folder / "one.scn"), imageName="biopsy 17")
    torn = entry(2, server(folder / "two.scn"), imageName="torn annotations")
    elsewhere = entry(3, server(folder / "two.scn"), imageName="on glass")
    bad = unusable_images(folder / "one.scn", tmp_path)
    project = write_project(tmp_path / "project.qpproj", torn, elsewhere, *bad, good)
    exported = tmp_path / "annotations"
    exported.mkdir()
    annotations = (folder / "annotations" / "one.geojson").read_bytes()
    for name in ("biopsy 17", *(item["imageName"] for item in bad)):
        (exported / f"{name}.geojson").write_bytes(annotations)
    (exported / "torn annotations.geojson").write_bytes(annotations[:50])
    write(exported / "on glass.geojson", annotation(polygon(square(0, 0, 3)), "Pink"))
    asked = ["--annotations", str(exported), "--name", "of-some"]
    asked += ["--encoder", str(folder / "tiny-encoder"), "--areas", str(tmp_path / "areas.csv")]
    assert main(["teach", str(project), *asked]) == 1
    said = capsys.readouterr()
    failed = ["torn annotations", "on glass", *(item["imageName"] for item in bad)]
    lines = [line for line in said.err.splitlines() if ": FAILED. " in line]
    assert [line.partition(":")[0] for line in lines] == failed
    assert f"Failed: {', '.join(failed)}" in said.err
    assert "biopsy 17: " in said.out
    assert "Saved to" in said.out
    with (tmp_path / "areas.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["slide"] for row in csv.DictReader(stream)} == {"biopsy 17"}
    none = write_project(tmp_path / "none.qpproj", *bad)
    assert main(["teach", str(none), *asked]) == 1
    assert "none among 8 slides" in capsys.readouterr().err


def test_each_picture_of_a_file_has_annotations_of_its_own(tmp_path: Path) -> None:
    slide = write_sections(tmp_path / "two.ome.tiff", (300, 200), (300, 200), (300, 200))
    for name in ("two", "two#3"):
        write(tmp_path / f"{name}.geojson", annotation(polygon(square(0, 0, 3)), "Pink"))
    write(tmp_path / "two#2.geojson", annotation(polygon(square(0, 0, 3))))
    target = Target(slide)
    files = AnnotationFiles.of([target.annotated])
    found = _classed_files(files, target, target.images(None), tmp_path)
    assert [(image, file.name) for image, file in found] == [
        (1, "two.geojson"),
        (3, "two#3.geojson"),
    ]


def test_a_slide_without_annotations_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for annotations in (tmp_path, tmp_path / "nowhere"):
        asked = ["teach", str(folder / "one.scn"), "--annotations", str(annotations), "--name", "x"]
        assert main(asked) == 1
        assert "one.scn" in capsys.readouterr().err
    with pytest.raises(TeachError, match=r"two\.scn"):
        teach([folder / "two.scn"], {"one": folder / "annotations" / "one.geojson"}, tmp_path / "m")


def test_images_of_one_slide_teach_once_and_may_not_contradict_each_other(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [
        entry(n, server(folder / "one.scn"), imageName=name) for n, name in enumerate("LRS", 1)
    ]
    project = write_project(tmp_path / "project.qpproj", *images)
    exported = tmp_path / "annotations"
    exported.mkdir()
    orange, pink = Box(1020, 420, 560, 660), Box(620, 520, 330, 560)
    more = Box(620, 520, 330, 700)
    shown = {
        "L": [rectangle(orange, "Orange"), rectangle(pink, "Pink")],
        "R": [rectangle(more, "pink")],
        "S": [rectangle(orange, "Pink"), rectangle(pink, "Pink")],
    }
    for name, features in shown.items():
        write(exported / f"{name}.geojson", {"type": "FeatureCollection", "features": features})
    asked = ["--annotations", str(exported), "--name", "of-one-slide"]
    asked += ["--encoder", str(folder / "tiny-encoder"), "--areas", str(tmp_path / "areas.csv")]
    asked += ["--outlines", str(tmp_path / "outlines")]
    assert main(["teach", str(project), *asked]) == 1
    written = {path.name: path.read_text() for path in (tmp_path / "outlines").iterdir()}
    assert sorted(written) == ["L-classes.geojson", "R-classes.geojson"]
    assert len(set(written.values())) == 1
    said = capsys.readouterr()
    first, new, known = (
        int(number)
        for pattern in (r"L: (\d+) patches", r"R: (\d+) patches", r"; (\d+) more came")
        for number in re.findall(pattern, said.out)
    )
    assert min(first, new, known) > 0
    orange_and_pink = re.findall(r"Examples: (\d+) Orange, (\d+) Pink", said.out)
    assert sum(map(int, orange_and_pink[0])) == first + new
    assert "S: FAILED." in said.err
    assert re.search(r"\d+ patches of Pink instead of Orange", said.err)
    assert "Failed: S" in said.err
    with (tmp_path / "areas.csv").open(encoding="utf-8", newline="") as stream:
        assert {row["slide"] for row in csv.DictReader(stream)} == {"L, R"}
