"""Folders are planned before the run, so that no race between workers decides whose they are."""

import json
import shutil
from pathlib import Path

from napari_xmag.batch.places import Place, plan_places
from napari_xmag.batch.targets import Target
from napari_xmag.qupath.server import QuPathImage


def files(folder: Path, **contents: str) -> list[Target]:
    """Write files named ``folder__name`` with a content each."""
    targets = []
    for name, content in contents.items():
        path = folder / (name.replace("__", "/") + ".svs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        targets.append(Target(path))
    return targets


def test_slides_of_one_name_are_numbered(tmp_path: Path) -> None:
    targets = files(tmp_path, a__case="1", b__case="22", c__other="1", d__Case="333")
    assert [place.number for place in plan_places(targets, tmp_path)] == [1, 2, 1, 3]


def test_a_number_that_another_slide_is_called_by_is_left_to_it(tmp_path: Path) -> None:
    targets = [Target(tmp_path / f"{name}.svs") for name in ("case-2", "case", "x/case")]
    assert [place.number for place in plan_places(targets, tmp_path)] == [1, 1, 3]


def test_copies_know_of_each_other(tmp_path: Path) -> None:
    targets = files(tmp_path, a__case="same", b__case="same", c__case="else", d__other="same")
    out = tmp_path / "out"
    places = plan_places(targets, out)
    assert [place.number for place in places] == [1, 2, 3, 1]
    assert [place.copy for place in places] == [0, 1, None, None]
    # a new run
    assert [place.own("case", {"mark"}) for place in places] == [[], [], None, None]
    # folders of an earlier run, some of them another's
    for number, owner in ((2, "other"), (4, "mark"), (7, "mark")):
        folder = out / f"case-{number}"
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps({"slide": {"fingerprint": owner}}))
    places = plan_places(targets, out)
    assert [place.own("case", {"mark"}) for place in places] == [[4], [7], None, None]
    assert [place.own("case", {"new"}) for place in places] == [[], [], None, None]


def test_what_cannot_be_read_is_no_copy(tmp_path: Path) -> None:
    targets = [Target(tmp_path / folder / "case.svs") for folder in "ab"]
    assert plan_places(targets, tmp_path) == [Place(1), Place(2)]


def test_pictures_of_one_file_in_a_project_share_a_number(tmp_path: Path) -> None:
    path = tmp_path / "case.scn"
    shutil.copy(__file__, path)
    targets = [Target(path, QuPathImage(path, series=series)) for series in (0, 1, 0)]
    assert [place.number for place in plan_places(targets, tmp_path)] == [1, 1, 2]


def test_images_of_a_project_that_show_one_picture_have_places_of_their_own(
    tmp_path: Path, pyramid_slide: Path
) -> None:
    path = tmp_path / "case.tiff"
    shutil.copy(pyramid_slide, path)
    images = [QuPathImage(path), QuPathImage(path, series=0), QuPathImage(path, series=0)]
    targets = [Target(path, image, entry=str(n)) for n, image in enumerate(images)]
    assert plan_places(targets, tmp_path) == [Place(1), Place(2), Place(3)]
    # the picture of a project, and the file itself
    assert [place.number for place in plan_places([Target(path), targets[0]], tmp_path)] == [1, 2]
