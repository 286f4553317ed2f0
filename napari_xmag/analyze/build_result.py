"""From the scores of all patches to the result: attention, evidence, prediction, flags."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xmag.analyze import flags
from napari_xmag.analyze.accumulator import ScoreAccumulator
from napari_xmag.analyze.kept_tissue import is_worth_keeping
from napari_xmag.analyze.provenance import model_facts, program_versions
from napari_xmag.analyze.result import SlideResult, UnreadableTile
from napari_xmag.analyze.table import PatchTable
from napari_xmag.analyze.tissue_shares import tissue_shares
from napari_xmag.analyze.tissue_used import tissue_used
from napari_xmag.errors import ModelError
from napari_xmag.nets.heads.patch_classifier import PatchClassifier
from napari_xmag.nets.heads.pooling import pool_scores
from napari_xmag.nets.info import ModelInfo
from napari_xmag.slide.bag import Bag
from napari_xmag.slide.base import Slide, require_mpp
from napari_xmag.slide.metadata import slide_metadata
from napari_xmag.slide.tiles import TileGrid
from napari_xmag.slide.tissue import TissueMask


def build_result(
    slide: Slide,
    info: ModelInfo,
    bag: Bag,
    mask: TissueMask,
    accumulator: ScoreAccumulator,
    settings: Mapping[str, Any],
    classifier: PatchClassifier | None = None,
) -> SlideResult:
    """Return the result of a finished run.

    Parameters
    ----------
    settings
        As they were in effect, ready for JSON.
    classifier
        The head, where examples taught it: the answer is then the share of each class.

    Raises
    ------
    ModelError
        When the model gave values that are not numbers.
    """
    grid = bag.patches
    if classifier is None or not accumulator.scores:
        patches, logits = _pooled(info, bag, accumulator)
        raw, calibrated = info.probabilities(logits) if len(patches) else ((), ())
    else:
        patches, logits, calibrated = _shared(classifier, bag, mask, accumulator)
        raw = logits
    return SlideResult(
        patches=patches,
        grid_shape=grid.shape,
        stride_x=grid.stride_x,
        stride_y=grid.stride_y,
        origin_x=grid.origin_x,
        origin_y=grid.origin_y,
        classes=info.classes,
        logits=tuple(map(float, logits)),
        probabilities_raw=tuple(map(float, raw)),
        probabilities=tuple(map(float, calibrated)),
        flags=_flags(slide, info, mask, accumulator, patches, calibrated),
        unreadable=tuple(
            UnreadableTile(bag.tiles.boxes[index], reason)
            for index, reason in sorted(accumulator.unreadable)
        ),
        slide=slide_metadata(slide),
        model=model_facts(info),
        settings=settings,
        seconds=dict(accumulator.seconds),
        versions=program_versions(),
        # Two results of one slide may be of the same second, and the newest is shown first.
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        tissue=tissue_used(slide, mask),
        mask=mask if is_worth_keeping(mask) else None,
    )


def _pooled(
    info: ModelInfo, bag: Bag, accumulator: ScoreAccumulator
) -> tuple[PatchTable, NDArray[np.float64]]:
    """Turn the scores of all patches into attention, evidence and logits, as the head would."""
    if not accumulator.scores:
        return PatchTable.empty(accumulator.classes), np.empty(0)
    found = accumulator.in_order(bag.members)
    logit, evidence = found.attention_logit, found.patch_evidence
    if not (np.isfinite(logit).all() and np.isfinite(evidence).all()):
        raise _not_numbers(info.display_name)
    return _weighed(bag.patches, found.indices, logit, evidence)


def _shared(
    classifier: PatchClassifier, bag: Bag, mask: TissueMask, accumulator: ScoreAccumulator
) -> tuple[PatchTable, NDArray[np.float64], NDArray[np.float64]]:
    """Return the table, the summed probabilities and the shares of what examples taught.

    Evidence is the part of the tissue in a patch times its probabilities.
    """
    scored = accumulator.in_order(bag.members)
    assert scored.features is not None  # the engine was told to keep them
    found = tissue_shares(classifier, bag.patches, mask, scored.indices, scored.features)
    weighed = _weighed(bag.patches, scored.indices, found.weight_logit, found.evidence)
    return *weighed, found.shares


def _weighed(
    grid: TileGrid,
    indices: NDArray[np.int64],
    logit: NDArray[np.float32],
    evidence: NDArray[np.float32],
) -> tuple[PatchTable, NDArray[np.float64]]:
    attention, weighted, logits = pool_scores(logit, evidence)
    boxes = [grid.boxes[index] for index in indices]
    table = PatchTable(
        x=np.array([box.x for box in boxes]),
        y=np.array([box.y for box in boxes]),
        width=np.array([box.width for box in boxes]),
        height=np.array([box.height for box in boxes]),
        column=grid.columns[indices].astype(np.int64),
        row=grid.rows[indices].astype(np.int64),
        attention_logit=logit,
        attention=attention,
        evidence=weighted,
    )
    return table, logits


def _not_numbers(name: str) -> ModelError:
    return ModelError(
        expected=f"numbers from {name}",
        found="values that are infinite or not a number",
        hint="Try precision float32 or the device cpu; if it stays, the model is damaged.",
    )


def _range_flags(info: ModelInfo, mean: ArrayLike, patches: int) -> list[flags.Flag]:
    """Say whether the slide is like those that the model learned from."""
    if info.training_range is None:
        return [flags.range_unknown_flag()]
    distance = info.training_range.distance_from_mean(mean, patches)
    is_taught = info.head == "patch_classifier"
    return flags.range_flags(distance, info.training_range.limit, is_taught=is_taught)


def _flags(
    slide: Slide,
    info: ModelInfo,
    mask: TissueMask,
    accumulator: ScoreAccumulator,
    patches: PatchTable,
    probabilities: Sequence[float] | NDArray[np.float64],
) -> tuple[flags.Flag, ...]:
    mpp = require_mpp(slide)
    found = flags.tissue_flags(accumulator.total, accumulator.analyzed, mask.area_um2(mpp) / 1e6)
    found += flags.finder_flags(mask)
    found += flags.unreadable_flags(accumulator.done, len(accumulator.unreadable))
    found += flags.quick_flags(accumulator.total, accumulator.done)
    if len(patches):
        found += _range_flags(info, accumulator.feature_sum / len(patches), len(patches))
    if info.head == "attention":
        found += flags.degenerate_flags(patches.attention)
    elif len(patches):
        is_advised = any(flag.code == flags.FlagCode.OUT_OF_RANGE for flag in found)
        found += flags.not_taught_flags(float(probabilities[-1]), is_advised=is_advised)
    found += flags.mpp_flags(slide.mpp_source, mpp.mean, slide.mpp_conflict)
    found += flags.coarse_flags(mpp.mean, info.mpp)
    found += flags.note_flags(slide.notes)
    if info.demonstration:
        found.append(flags.demonstration_flag(info.display_name))
    return tuple(found)
