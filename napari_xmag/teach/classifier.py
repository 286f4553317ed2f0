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
from napari_xmag.nets.likeness import cosines, kernel
from napari_xmag.nets.patch_classifier import (
    Classified,
    FeatureSpace,
    PatchClassifier,
    PlacedPatches,
    mean_and_scale,
)
from napari_xmag.teach.lesson import SlideId
from napari_xmag.teach.one_thread import one_thread
from napari_xmag.teach.prepared import PreparedSlide
from napari_xmag.teach.regions import compared, regions_of
from napari_xmag.teach.session import TeachRequest, require_one_encoder
from napari_xmag.teach.settings import TeachSettings

_SAMPLE = 2048
_MOST_COMPARED = 512


@dataclass(frozen=True, eq=False)
class Layout:
    """The slides in the coordinates in which their patches are compared.

    Attributes
    ----------
    space
        What makes coordinates of features.
    patches
        Those of each slide.
    aside
        Those half a patch aside, of slides with a finer map.
    """

    space: FeatureSpace
    patches: Mapping[SlideId, PlacedPatches]
    aside: Mapping[SlideId, PlacedPatches]

    @property
    def coordinates(self) -> Mapping[SlideId, NDArray[np.float32]]:
        """Coordinates of the patches of each slide, float32 (P, K)."""
        return {of: patches.coordinates for of, patches in self.patches.items()}

    def shown(
        self, classifier: PatchClassifier, slide: PreparedSlide, patches: Classified
    ) -> Classified:
        """Return what each place of a slide's map is; see `PreparedSlide.map_grid`.

        Parameters
        ----------
        patches
            What each patch of the slide is.
        """
        if slide.finer is None:
            return patches
        return slide.finer.classified(patches, classifier.at(self.aside[slide.id]))


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
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
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
            same = self._slides == request.slides and self._settings == request.settings
            if self._layout is None or not same:
                self._layout = lay_out(request.slides, request.settings)
                self._slides, self._settings = request.slides, request.settings
            return self._layout

    def fit(self, request: TeachRequest) -> Taught:
        """Answer a request; see `fit`."""
        return fit(request, self.layout(request))


def lay_out(slides: Sequence[PreparedSlide], settings: TeachSettings) -> Layout:
    """Find the coordinates in which the patches of these slides are compared.

    Raises
    ------
    ResultError
        When they were encoded by different encoders.
    TeachError
        When there is no slide.
    """
    if not slides:
        raise TeachError(
            expected="a slide to teach on", found="none", hint="Open and encode a slide first."
        )
    require_one_encoder(slides)
    patches = {slide.id: slide.features for slide in slides}
    aside = {slide.id: slide.finer.aside for slide in slides if slide.finer is not None}
    with one_thread():
        space = fit_space([slide.features.features for slide in slides], settings)
        return Layout(
            space,
            {of: space.placed(each.features, each) for of, each in patches.items()},
            {of: space.placed(each.features, each) for of, each in aside.items()},
        )


def fit_space(features: Sequence[NDArray[np.floating]], settings: TeachSettings) -> FeatureSpace:
    """Find standardization and principal components of slides, each counting alike.

    Parameters
    ----------
    features
        Float (P, D) of each slide.
    """
    each = max(1, _SAMPLE // len(features))
    parts = []
    for of_slide in features:
        step = max(1, len(of_slide) // each)
        part = of_slide[::step].astype(np.float32)
        if settings.by_slide:
            mean, scale = mean_and_scale(part)
            part = (part - mean) / scale
        parts.append(part)
    sample = np.concatenate(parts)
    mean, scale = mean_and_scale(sample)
    basis = principal_components((sample - mean) / scale, settings.components)
    switches = settings.by_slide, settings.context, settings.spreading
    return FeatureSpace(mean, scale, basis, *switches)


def principal_components(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Return the directions of largest spread, float32 (D, count or fewer).

    Parameters
    ----------
    values
        float32 (N, D), with a mean of zero.
    """
    from sklearn.utils.extmath import randomized_svd

    count = min(count, *values.shape)
    _, _, directions = randomized_svd(values, count, n_iter=2, random_state=0)
    return np.ascontiguousarray(directions.T).astype(np.float32)


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
    regions = regions_of(examples, request.slides)
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
