"""Names of slides in tables: short, of no home folder, and the same slide at each run."""

from pathlib import Path

from napari_xmag.batch.events import SlideLabel
from napari_xmag.batch.named import NamedSlide, SlideNames


def called(given: list[Path], label: SlideLabel) -> tuple[str, str]:
    named = SlideNames(given, given[0].parent).of(label)
    return named.slide, named.image


def test_slides_are_called_relative_to_what_was_given(tmp_path: Path) -> None:
    for folder in ("one/deep", "two"):
        (tmp_path / folder).mkdir(parents=True)
    label = SlideLabel(tmp_path / "one" / "deep" / "a.svs")
    assert called([tmp_path / "one"], label) == ("deep/a.svs", "")
    both = [tmp_path / "one", tmp_path / "two" / "b.svs"]
    assert called(both, label) == ("one/deep/a.svs", "")
    assert called([tmp_path / "two"], label) == ("a.svs", "")
    dicom = SlideLabel(tmp_path / "two")
    assert called([tmp_path / "two"], dicom) == ("two", "")


def test_a_slide_is_the_same_whatever_it_is_called(tmp_path: Path) -> None:
    deep = tmp_path / "one" / "a.svs"
    deep.parent.mkdir()
    names = [SlideNames([given], tmp_path / "out") for given in (tmp_path, deep.parent)]
    first, second = (of.of(SlideLabel(deep, 1)) for of in names)
    assert (first.slide, second.slide) == ("one/a.svs", "a.svs")
    assert first.key == second.key
    assert first.key != names[0].of(SlideLabel(tmp_path / "two" / "a.svs", 1)).key
    assert first.key != names[0].of(SlideLabel(deep, 2)).key
    # as it fails before its pictures are known
    assert first.key == names[0].of(SlideLabel(deep)).key


def test_an_image_of_a_project_is_the_same_under_another_name(tmp_path: Path) -> None:
    names = SlideNames([tmp_path], tmp_path)
    projects = [tmp_path / name / "project.qpproj" for name in "ab"]

    def of(name: str, key: str, project: Path = projects[0]) -> NamedSlide:
        return names.of(SlideLabel(tmp_path / "s.czi", None, name, key, project))

    assert of("old", "1").key == of("new", "1").key
    others = [of("old", "2"), of("old", "1", projects[1]), of("old", ""), of("new", "")]
    assert len({one.key for one in [of("old", "1"), *others]}) == 5
    assert of("old", "1").words() == "old [ID 1]"
    assert of("old", "1").words(of_project=True) == "old [ID 1 of a/project.qpproj]"
