"""The coordinates in which the patches of slides are compared, found once for a set of slides.

Needs no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xmag.errors import TeachError
from napari_xmag.nets.heads.patch_classifier import (
    Classified,
    FeatureSpace,
    PatchClassifier,
    PlacedPatches,
    mean_and_scale,
)
from napari_xmag.teach.lesson import SlideId
from napari_xmag.teach.one_thread import one_thread
from napari_xmag.teach.prepared import PreparedSlide
from napari_xmag.teach.session import require_one_encoder
from napari_xmag.teach.settings import TeachSettings

_SAMPLE = 2048


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
