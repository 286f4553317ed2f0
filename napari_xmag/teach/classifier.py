"""From examples to a map: fits a classifier and lets it look at all patches of the slides.

Needs no torch. Features are standardized and turned into principal components once for a set of
slides (`lay_out`); each click then costs a logistic regression on its few examples.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TeachError
from napari_xmag.features.store import FeatureStore
from napari_xmag.nets.heads.likeness import cosines, kernel
from napari_xmag.nets.heads.patch_classifier import Classified, PatchClassifier
from napari_xmag.teach.kept_layout import keep_layout, kept_layout
from napari_xmag.teach.layout import Layout, lay_out
from napari_xmag.teach.lesson import SlideId
from napari_xmag.teach.one_thread import one_thread
from napari_xmag.teach.prepared import PreparedSlide
from napari_xmag.teach.regions import compared, example_regions
from napari_xmag.teach.session import TeachRequest
from napari_xmag.teach.settings import TeachSettings

_MOST_COMPARED = 512


@dataclass(frozen=True, eq=False)
class Taught:
    """What came of a request.

    Attributes
    ----------
    request
        What it answers.
    classifier
        What was learned; its classes are those of the request that have examples.
    classes
        Names of these classes, in the order of the lesson.
    maps
        What the patches of each open slide are.
    shown
        What the places of each open slide's map are: its patches, or their quarters.
    layout
        Coordinates of the slides.
    examples
        The patches that taught it.
    """

    request: TeachRequest
    classifier: PatchClassifier
    classes: tuple[str, ...]
    maps: Mapping[SlideId, Classified]
    shown: Mapping[SlideId, Classified]
    layout: Layout
    examples: "ExamplePatches"

    @property
    def bearing(self) -> tuple[PreparedSlide, ...]:
        """The slides that bear examples which count."""
        return tuple(self.request.slides[n] for n in np.unique(self.examples.slides))


@dataclass(frozen=True, eq=False)
class ExamplePatches:
    """The N patches that are examples, of all slides.

    Attributes
    ----------
    slides
        int64 (N,), index into the request's slides.
    patches
        int64 (N,), which patch of it.
    labels
        int64 (N,), index into ``classes``.
    classes
        Names of the classes that have examples, in the order of the lesson.
    elsewhere
        How many examples lie on slides that are not at hand, and take no part.
    on_glass
        How many take no part because their slide has no patch there, as another encoder or
        version may find it.
    """

    slides: NDArray[np.int64]
    patches: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    elsewhere: int
    on_glass: int

    @classmethod
    def of(cls, request: TeachRequest) -> "ExamplePatches":
        """Find the patches of a request's examples; two in one patch count once, the later one."""
        found: dict[tuple[int, int], str] = {}
        at_hand = on_glass = 0
        by_slide = request.lesson.by_slide
        for number, slide in enumerate(request.slides):
            examples = tuple(by_slide.get(slide.id, ()))
            at_hand += len(examples)
            patches = slide.patches_of(examples)
            on_glass += int((patches < 0).sum())
            for patch, example in zip(patches.tolist(), examples, strict=True):
                if patch >= 0:
                    found[number, patch] = example.class_name
        names = set(found.values())
        classes = tuple(name for name in request.lesson.class_names if name in names)
        places = np.array(list(found), np.int64).reshape(-1, 2)
        labels = np.array([classes.index(name) for name in found.values()], np.int64)
        elsewhere = len(request.lesson.examples) - at_hand
        return cls(places[:, 0], places[:, 1], labels, classes, elsewhere, on_glass)

    @property
    def on_glass_words(self) -> str:
        """Say how many lie on glass; empty when none does."""
        if not self.on_glass:
            return ""
        which = "1 example does" if self.on_glass == 1 else f"{self.on_glass} examples do"
        return f"{which} not count: no tissue was found there."

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "ExamplePatches":
        """Return some of them."""
        return replace(
            self, slides=self.slides[rows], patches=self.patches[rows], labels=self.labels[rows]
        )

    def of_slides(
        self, slides: Sequence[PreparedSlide], values: Mapping[SlideId, NDArray[np.floating]]
    ) -> NDArray[np.floating]:
        """Return the rows of the examples from arrays (P, …) of the slides."""
        rows = [
            values[slides[slide].id][patch]
            for slide, patch in zip(self.slides.tolist(), self.patches.tolist(), strict=True)
        ]
        return np.stack(rows)


class Learner:
    """Fits one request after the other and keeps what does not depend on the examples.

    Safe for several threads; one waits for the other.

    Parameters
    ----------
    store
        Of the slides' features: with them, what does not depend on the examples is kept for the
        next session.
    """

    def __init__(self, store: FeatureStore | None = None) -> None:
        self._lock = threading.Lock()
        self._store, self._is_kept = store, False
        self._slides: tuple[PreparedSlide, ...] = ()
        self._settings: TeachSettings | None = None
        self._layout: Layout | None = None

    def layout(self, request: TeachRequest) -> Layout:
        """Return the coordinates of the slides of a request, quickly when they are the last ones.

        Raises
        ------
        ResultError
            When the slides were encoded by different encoders.
        TeachError
            When there is no slide.
        """
        with self._lock:
            asked = request.slides, request.settings
            same = (self._slides, self._settings) == asked
            if self._layout is None or not same:
                found = kept_layout(self._store, *asked) if self._store is not None else None
                self._is_kept = found is not None
                self._layout = found or lay_out(*asked)
                self._slides, self._settings = asked
            return self._layout

    def keep(self) -> None:
        """Keep the last layout for the next session, if there is one that is not kept yet."""
        with self._lock:
            slides, settings, layout = self._slides, self._settings, self._layout
            if self._store is None or settings is None or layout is None or self._is_kept:
                return
            self._is_kept = True
        keep_layout(self._store, slides, settings, layout)

    def fit(self, request: TeachRequest) -> Taught:
        """Answer a request; see `fit`."""
        return fit(request, self.layout(request))


def fit(request: TeachRequest, layout: Layout | None = None) -> Taught:
    """Teach a classifier and let it look at all slides; the same request, the same answer.

    Parameters
    ----------
    layout
        Of the request's slides; found when None.

    Raises
    ------
    TeachError
        When fewer than two classes have examples.
    ResultError
        When the slides were encoded by different encoders.
    """
    layout = layout or lay_out(request.slides, request.settings)
    examples = ExamplePatches.of(request)
    opened = request.slides[: request.opened]
    with one_thread():
        classifier = fit_examples(request, examples, layout)
        maps = {slide.id: classifier.at(layout.patches[slide.id]) for slide in opened}
        shown = {slide.id: layout.shown(classifier, slide, maps[slide.id]) for slide in opened}
    return Taught(request, classifier, examples.classes, maps, shown, layout, examples)


def fit_examples(
    request: TeachRequest, examples: ExamplePatches, layout: Layout
) -> PatchClassifier:
    """Teach a classifier by some examples.

    Raises
    ------
    TeachError
        When fewer than two classes have examples.
    """
    if len(np.unique(examples.labels)) < 2:
        raise _one_class(examples)
    points = examples.of_slides(request.slides, layout.coordinates).astype(np.float32)
    count = len(examples.classes)
    with one_thread():
        weights, bias = _logistic(points, examples.labels, count, request.settings.strength)
    some = compared(examples.labels, _MOST_COMPARED)
    regions = example_regions(examples, request.slides)
    least = _least_likeness(points[some], regions[some], request.settings.reach)
    labels = examples.labels[some]
    return PatchClassifier(layout.space, weights, bias, points[some], labels, least)


def _logistic(
    points: NDArray[np.float32], labels: NDArray[np.int64], classes: int, strength: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return weights (K, C) and bias (C,) of a logistic regression that balances the classes."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, class_weight="balanced", max_iter=500)
    model.fit(points.astype(np.float64), labels)
    weights = np.zeros((points.shape[1], classes), np.float32)
    bias = np.full(classes, -np.inf, np.float32)
    if len(model.classes_) == 2:
        # sklearn gives the logit of the second of two: half of it for one, against the other
        half = np.vstack([-model.coef_, model.coef_]) / 2
        offset = np.concatenate([-model.intercept_, model.intercept_]) / 2
    else:
        half, offset = model.coef_, model.intercept_
    weights[:, model.classes_] = half.T
    bias[model.classes_] = offset
    return weights, bias


def _least_likeness(
    points: NDArray[np.float32], regions: NDArray[np.int64], deviations: float
) -> float:
    """Return how like the examples a patch must be to count as taught.

    It is so many standard deviations below the mean of what examples are to those of other
    regions, by the logarithm; examples of one region are too much alike to tell. Where there is
    only one region, they are compared with one another.
    """
    apart = regions[:, None] != regions
    if not apart.any():
        apart = ~np.eye(len(points), dtype=bool)
    alike = np.log((kernel(cosines(points, points)) * apart).sum(1)[apart.any(1)])
    return float(np.exp(alike.mean() - deviations * alike.std()))


def _one_class(examples: ExamplePatches) -> TeachError:
    found = "none yet"
    if len(examples):
        found = f"examples of {examples.classes[examples.labels[0]]} only"
    elif examples.elsewhere:
        found = f"only {examples.elsewhere} on slides that are not open"
    return TeachError(
        expected="examples of at least two classes",
        found=found,
        hint=f"Mark a patch of another class as well. {examples.on_glass_words}".rstrip(),
    )
