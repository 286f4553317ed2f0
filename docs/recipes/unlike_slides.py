"""Which slides count as unlike those of a lesson, and what a lesson says of such slides.

    python unlike_slides.py COHORT.csv [--model NAME] [--lesson CLICKS.json SLIDE]...

The cohort names slides, patients and organs (columns slide, patient, organ). First the range of
one, two and three slides of a patient is fitted, and all other slides are held against it: another
slide of the patient should lie within, and one of other tissue, stain or scanner beyond.
Prints a row for each patient with so many slides and one slide more, and one for all of them.

The range of one to four slides, each of another patient, should in turn hold slides of the same
organ of yet other patients, and none of other organs.

Then each lesson (clicks as in teach_lung.json, and the slide they were made on) is carried to all
slides of the cohort. Prints how many get a map without a warning, and how many an answer: by
what is not taught alone, and with the range.
"""

import argparse
import csv
import json
import tempfile
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from napari_xmag.analyze.flags import MOST_NOT_TAUGHT, MUCH_NOT_TAUGHT
from napari_xmag.features.store import FeatureStore
from napari_xmag.nets.info import TrainingRange
from napari_xmag.nets.slides_range import slides_range
from napari_xmag.slide.open import open_slide
from napari_xmag.teach.classifier import Taught, fit
from napari_xmag.teach.encode import encoded_slide
from napari_xmag.teach.lesson_range import lesson_range
from napari_xmag.teach.prepared import PreparedSlide
from napari_xmag.teach.session import TeachSession
from napari_xmag.teach.steps import answer_of
from napari_xmag.zoo import open_model

MOST_SLIDES, MOST_PATIENTS = 3, 4
DRAWS = 20


def main() -> None:
    """Read the cohort, encode its slides and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cohort", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--lesson", type=Path, nargs=2, action="append", default=[])
    args = parser.parse_args()
    with args.cohort.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    patients = {row["slide"]: row["patient"] for row in rows}
    lessons = [slide for _, slide in args.lesson]
    paths = [args.cohort.parent / name for name in patients]
    slides = encoded([*paths, *lessons], args.model)
    cohort = slides[: len(paths)]
    print_ranges(cohort, list(patients.values()), [row["organ"] for row in rows])
    print("\n| lesson | slides | no warning | answered | with the range: no warning | answered |")
    print("|---|---|---|---|---|---|")
    for (clicks, path), slide in zip(args.lesson, slides[len(paths) :], strict=True):
        taught, patient = taught_by(clicks, slide), patients.get(path.name)
        rest = [one for one in cohort if one.name != path.name]
        for of, is_own in (("the same patient", True), ("other patients", False)):
            some = [one for one in rest if (patients[one.name] == patient) == is_own]
            if some:
                counts = " | ".join(map(str, carried(taught, some)))
                print(f"| {clicks.stem} | {len(some)} of {of} | {counts} |")


def print_ranges(
    slides: Sequence[PreparedSlide], patients: Sequence[str], organs: Sequence[str]
) -> None:
    """Print how often slides lie on the wrong side, by patient and by organ."""
    print("| slides with examples | of | same patient: beyond | other patients: within |")
    print("|---|---|---|---|")
    for count in range(1, MOST_SLIDES + 1):
        for name, *shares in beyond_and_within(slides, patients, count):
            print(f"| {count} | {name} | {shares[0]:.0%} | {shares[1]:.0%} |")
    print("\n| patients with examples | same organ: within | other organs: within |")
    print("|---|---|---|")
    for count in range(1, MOST_PATIENTS + 1):
        shares = within_of_organs(slides, patients, organs, count)
        print(f"| {count} | {shares[0]:.0%} | {shares[1]:.0%} |")


def encoded(paths: Sequence[Path], model: str | None) -> list[PreparedSlide]:
    """Find the tissue of each slide and encode it."""
    encoder = open_model(model)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            with open_slide(path) as slide:
                steps = encoded_slide(slide, encoder, FeatureStore(Path(folder)))
                found.append(answer_of(steps).prepared)
    return found


def range_of(slides: Sequence[PreparedSlide]) -> TrainingRange:
    """Return the range of slides, which must have more patches than parts."""
    found = slides_range([s.features.features for s in slides], [s.centers for s in slides])
    assert found is not None
    return found


def lies_beyond(slide: PreparedSlide, found: TrainingRange) -> bool:
    """Whether a slide lies beyond a range."""
    return found.distance(slide.features.features) > found.limit


def beyond_and_within(
    slides: Sequence[PreparedSlide], patients: Sequence[str], count: int
) -> Iterator[tuple[str, float, float]]:
    """Yield each patient with enough slides, and how often slides lie on the wrong side."""
    own: list[bool] = []
    foreign: list[bool] = []
    of = np.array(patients)
    for patient in sorted({name for name in patients if list(patients).count(name) > count}):
        mine, others = [], []
        for chosen in combinations(np.flatnonzero(of == patient), count):
            found = range_of([slides[number] for number in chosen])
            for number in set(range(len(slides))) - set(chosen):
                beyond = lies_beyond(slides[number], found)
                (mine if of[number] == patient else others).append(beyond)
        yield patient, float(np.mean(mine)), 1 - float(np.mean(others))
        own += mine
        foreign += others
    yield "all", float(np.mean(own)), 1 - float(np.mean(foreign))


def within_of_organs(
    slides: Sequence[PreparedSlide], patients: Sequence[str], organs: Sequence[str], count: int
) -> tuple[float, float]:
    """Return how many slides of other patients lie within: of the same organ, and of others.

    The range is of so many slides of as many patients with a known organ, drawn anew for each of
    some draws; organs with no further patient are left out.
    """
    draw = np.random.default_rng(0)
    of, organ_of = np.array(patients), np.array(organs)
    same: list[bool] = []
    foreign: list[bool] = []
    for organ in sorted(set(organs) - {""}):
        known = sorted(set(of[organ_of == organ]))
        for _ in range(DRAWS if len(known) > count else 0):
            chosen = draw.permutation(known)[:count]
            some = [
                slides[draw.choice(np.flatnonzero((of == name) & (organ_of == organ)))]
                for name in chosen
            ]
            found = range_of(some)
            for number in np.flatnonzero(~np.isin(of, chosen)):
                within = not lies_beyond(slides[number], found)
                (same if organ_of[number] == organ else foreign).append(within)
    return float(np.mean(same)), float(np.mean(foreign))


def taught_by(clicks: Path, slide: PreparedSlide) -> Taught:
    """Teach what was clicked on a slide."""
    session = TeachSession()
    session.open_slide(slide)
    for name, x, y in json.loads(clicks.read_text())["clicks"]:
        if name not in session.lesson.class_names:
            session.add_class(name)
        patch = slide.patch_at(x, y)
        assert patch is not None, f"{name} at {x}, {y} lies on glass"
        session.mark(slide.id, np.array([patch]), name)
    return fit(session.request())


def carried(taught: Taught, slides: Sequence[PreparedSlide]) -> tuple[int, int, int, int]:
    """Count slides without a warning and with an answer: without the range, and with it."""
    found = lesson_range(taught)
    assert found is not None
    classified = [taught.classifier.classify(s.features.features, s.features) for s in slides]
    not_taught = np.array([1 - each.is_taught.mean() for each in classified])
    within = ~np.array([lies_beyond(slide, found) for slide in slides])
    quiet, answered = not_taught <= MUCH_NOT_TAUGHT, not_taught <= MOST_NOT_TAUGHT
    counts = quiet, answered, quiet & within, answered & within
    return tuple(int(each.sum()) for each in counts)  # type: ignore[return-value]


if __name__ == "__main__":
    main()
