"""What is said of files that were left out."""

from pathlib import Path

from napari_xmag.cli.slides import words_of_skipped
from napari_xmag.slide.find import FoundSlides, Skipped


def test_what_was_skipped_is_counted_and_named() -> None:
    links = tuple(Skipped(Path(f"{number}.svs"), "a link") for number in range(7))
    found = FoundSlides(
        (Path("a.svs"),),
        (*links, Skipped(Path(".trash"), "hidden")),
        (Skipped(Path("locked"), "Permission denied"),),
        (("", 1), (".csv", 2)),
    )
    assert words_of_skipped(found) == [
        "Skipped 7 (a link): 0.svs, 1.svs, 2.svs, 3.svs, 4.svs and 2 more",
        "Skipped 1 (hidden): .trash",
        "Skipped 3 files of other kinds: 1 without suffix, 2 .csv",
        "NOT SEARCHED: locked: Permission denied",
    ]


def test_nothing_is_said_where_nothing_was_skipped() -> None:
    assert words_of_skipped(FoundSlides((Path("a.svs"),))) == []
