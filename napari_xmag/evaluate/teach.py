"""How many clicks teach how much: simulated persons on slides of known truth."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_xmag.evaluate.bounds import bounds
from napari_xmag.evaluate.clicks import (
    Classroom,
    Clicks,
    random_clicks,
    suggested_clicks,
    touched_islands,
)
from napari_xmag.evaluate.composed import ComposedSlide, composed_slides, mean_color_student
from napari_xmag.evaluate.config import EncoderConfig
from napari_xmag.evaluate.encoders import TileSource, load_source
from napari_xmag.evaluate.teach_config import ComposedSource, TeachConfig, TeachVariant
from napari_xmag.evaluate.teach_report import NotTaughtRow, TeachFigures, write_figures
from napari_xmag.nets.encoder_fingerprint import encoder_fingerprint
from napari_xmag.nets.info import Granularity
from napari_xmag.progress.events import Progress, RunFinished, Stage
from napari_xmag.progress.heartbeat import ProgressMeter, Steps, run_steps, run_with_progress
from napari_xmag.teach.estimate import estimate
from napari_xmag.teach.layout import lay_out
from napari_xmag.teach.settings import TeachSettings

MEAN_COLOR = "mean colour"

Slides = dict[str, list[ComposedSlide]]


@dataclass(frozen=True)
class _Setting:
    """One encoder with one way of fitting, on one source."""

    source: str
    encoder: str
    variant: str
    settings: TeachSettings

    def room(self, slides: Sequence[ComposedSlide], classes: Sequence[int]) -> Classroom:
        layout = lay_out([slide.prepared for slide in slides], self.settings)
        return Classroom(slides, layout, self.settings, tuple(classes))


def evaluate_teach(
    config: TeachConfig, out: Path
) -> Generator[Progress | RunFinished, None, TeachFigures]:
    """Measure how good a taught map is by the number of examples.

    Within a slide, half of the islands are clicked and the others judged; across slides, two slides
    are clicked and those of the other side judged, which have no field in common with them.

    Parameters
    ----------
    out
        Gets results.json, results.md and clicks.csv.

    Raises
    ------
    CohortError, ConfigError
        When the slides do not serve.
    ModelError
        When an encoder does not load.
    """
    figures = TeachFigures()
    for number, encoder in enumerate(_encoders(config)):
        source = yield from _load(encoder, config)
        slides: Slides = {}
        for composed in config.sources:
            steps = composed_slides(composed, source, _granularity(encoder, config))
            slides[composed.name] = yield from steps
        variants = config.variants if number == 0 else config.variants[:1]
        name = MEAN_COLOR if encoder is None else encoder.name
        for variant in variants:
            for composed in config.sources:
                setting = _setting(composed, name, variant)
                counting = _measured(setting, slides[composed.name], config, figures)
                meter = ProgressMeter(Stage.PROBING, 0, "fits", item=f"{name}, {composed.name}")
                yield from run_steps(counting, meter)
        if number == 0:
            carrying = partial(_carry, slides, name, config, figures)
            yield from run_with_progress(carrying, ProgressMeter(Stage.PROBING, 0))
        if config.bounds:
            yield from _bounds(slides, name, figures)
    yield from run_with_progress(
        partial(write_figures, figures, config.model_dump(mode="json"), out),
        ProgressMeter(Stage.WRITING, 0),
    )
    yield RunFinished(out, {"rows": len(figures.clicks)})
    return figures


def _bounds(slides: Slides, encoder: str, figures: TeachFigures) -> Generator[Progress, None, None]:
    """Add what probes reach that see more than any clicks show."""
    for source, some in slides.items():

        def probed(source: str = source, some: list[ComposedSlide] = some) -> Steps[None]:
            for row in bounds(source, encoder, some):
                figures.bounds.append(row)
                yield 1

        meter = ProgressMeter(Stage.PROBING, 0, "probes", item=f"{encoder}, {source}")
        yield from run_steps(probed(), meter)


def _encoders(config: TeachConfig) -> list[EncoderConfig | None]:
    return [*config.encoders, *([None] if config.mean_color else [])]


def _granularity(encoder: EncoderConfig | None, config: TeachConfig) -> Granularity:
    return (encoder or config.encoders[0]).granularity


def _load(
    encoder: EncoderConfig | None, config: TeachConfig
) -> Generator[Progress, None, TileSource]:
    source = yield from load_source(encoder or config.encoders[0], config.machine, config.cache)
    if encoder is not None:
        return source
    student = mean_color_student(source.student.spec)
    return TileSource(student, encoder_fingerprint(student), source.batch, config.cache)


def _setting(source: ComposedSource, encoder: str, variant: TeachVariant) -> _Setting:
    settings = TeachSettings(
        context=variant.context,
        components=variant.components,
        by_slide=variant.by_slide,
        spreading=variant.spreading,
    )
    return _Setting(source.name, encoder, variant.name, settings)


def _measured(
    setting: _Setting, slides: list[ComposedSlide], config: TeachConfig, figures: TeachFigures
) -> Steps[None]:
    """Add all figures of one setting; yield after each slide or seed."""
    for number, slide in enumerate(slides):
        for seed in range(config.seeds):
            draw = np.random.default_rng([config.seed, number, seed])
            _within(setting, slide, seed, draw, config, figures)
            yield 1
    for seed in range(config.seeds):
        _across(setting, slides, seed, config, figures)
        yield 1
    for number, slide in enumerate(slides):
        _unseen(setting, slide, np.random.default_rng([config.seed, number]), config, figures)
        yield 1


def _within(
    setting: _Setting,
    slide: ComposedSlide,
    seed: int,
    draw: np.random.Generator,
    config: TeachConfig,
    figures: TeachFigures,
) -> None:
    """Click on half of a slide's islands and evaluate on the others."""
    classes: list[int] = np.unique(slide.labels[slide.labels >= 0]).tolist()
    room = setting.room([slide], classes)
    allowed = touched_islands(slide, classes, draw)
    chosen = {"random": random_clicks(slide, allowed, classes, max(config.clicks), draw)}
    if setting.variant == config.variants[0].name and setting.encoder == config.encoders[0].name:
        chosen["suggested"] = suggested_clicks(room, allowed, config.suggested_clicks, draw)
    untouched = {0: ~allowed & (slide.labels >= 0)}
    for strategy, clicks in chosen.items():
        for count in config.clicks:
            some = _first(slide, clicks, classes, count, strategy)
            if some is not None:
                row = _judged(room, {0: some}, untouched)
                figures.add(setting, "within", strategy, count, seed, slide.prepared.name, *row)


def _first(
    slide: ComposedSlide,
    clicks: NDArray[np.int64],
    classes: Sequence[int],
    count: int,
    strategy: str,
) -> NDArray[np.int64] | None:
    """Return the first clicks; None where there are not so many."""
    if strategy == "suggested":
        # suggestions decide which class gets how many
        return clicks[: count * len(classes)] if len(clicks) >= count * len(classes) else None
    parts = [clicks[slide.labels[clicks] == kind][:count] for kind in classes]
    return np.concatenate(parts) if min(map(len, parts)) == count else None


def _judged(
    room: Classroom, clicks: Clicks, parts: dict[int, NDArray[np.bool_]]
) -> tuple[float, float, float | None, float, float]:
    """Return AUC, balanced accuracy, and what the program itself estimates."""
    taught = room.taught_by(clicks)
    found, own = room.judged(taught, parts), estimate(taught)
    return found.auc, found.balanced_accuracy, own.balanced_accuracy, own.low, own.high


def _across(
    setting: _Setting,
    slides: list[ComposedSlide],
    seed: int,
    config: TeachConfig,
    figures: TeachFigures,
) -> None:
    """Click on two slides of one side and evaluate on each of the other side."""
    draw = np.random.default_rng([config.seed, seed, 1])
    classes = range(len(slides[0].classes))
    sides = [[slide for slide in slides if slide.side == side] for side in (seed % 2, 1 - seed % 2)]
    taught_on = draw.permutation(len(sides[0]))[:2]
    if len(taught_on) < 2:
        return
    shown = [*(sides[0][index] for index in taught_on), *sides[1]]
    room = setting.room(shown, classes)
    most = [
        random_clicks(slide, slide.labels >= 0, classes, max(config.clicks), draw)
        for slide in shown[:2]
    ]
    for count in config.clicks:
        found = [
            _first(slide, clicks, classes, count, "random")
            for slide, clicks in zip(shown, most, strict=False)
        ]
        if any(part is None for part in found):
            continue
        taught = room.taught_by({n: part for n, part in enumerate(found) if part is not None})
        own = estimate(taught)
        for number in range(2, len(shown)):
            judged = room.judged(taught, {number: shown[number].labels >= 0})
            row = judged.auc, judged.balanced_accuracy, own.balanced_accuracy, own.low, own.high
            name = shown[number].prepared.name
            figures.add(setting, "across", "random", count, seed, name, *row)


def _unseen(
    setting: _Setting,
    slide: ComposedSlide,
    draw: np.random.Generator,
    config: TeachConfig,
    figures: TeachFigures,
) -> None:
    """Teach all classes of a slide but one; count what is not taught of it and of the others."""
    everything: list[int] = np.unique(slide.labels[slide.labels >= 0]).tolist()
    for left_out in everything if len(everything) > 2 else ():
        classes = [kind for kind in everything if kind != left_out]
        room = setting.room([slide], classes)
        allowed = touched_islands(slide, classes, draw)
        for count in config.clicks:
            clicks = random_clicks(slide, allowed, classes, count, draw)
            taught = room.taught_by({0: clicks}).maps[slide.prepared.id]
            others = ~allowed & np.isin(slide.labels, classes)
            figures.not_taught.append(
                NotTaughtRow(
                    *(setting.source, setting.encoder, setting.variant, count),
                    slide.classes[left_out],
                    float((~taught.is_taught)[slide.labels == left_out].mean()),
                    float((~taught.is_taught)[others].mean()),
                )
            )


def _carry(slides: Slides, encoder: str, config: TeachConfig, figures: TeachFigures) -> None:
    """Carry what was taught on one source to another, and correct it there by five clicks."""
    names = list(slides)
    for taught_on in names:
        for shown_on in names:
            same = slides[taught_on][0].classes == slides[shown_on][0].classes
            if taught_on == shown_on or not same:
                continue
            setting = _Setting(f"{taught_on} to {shown_on}", encoder, "as taught", TeachSettings())
            for number, target in enumerate(slides[shown_on]):
                for seed in range(config.seeds):
                    draw = np.random.default_rng([config.seed, number, seed, 2])
                    _correct(setting, slides[taught_on][:2], target, seed, draw, config, figures)


def _correct(
    setting: _Setting,
    first: list[ComposedSlide],
    target: ComposedSlide,
    seed: int,
    draw: np.random.Generator,
    config: TeachConfig,
    figures: TeachFigures,
) -> None:
    classes = range(len(target.classes))
    room = setting.room([*first, target], classes)
    clicks: Clicks = {
        number: random_clicks(slide, slide.labels >= 0, classes, config.carried_clicks, draw)
        for number, slide in enumerate(first)
    }
    allowed = touched_islands(target, classes, draw)
    untouched = {2: ~allowed & (target.labels >= 0)}
    name = target.prepared.name
    row = _judged(room, clicks, untouched)
    figures.add(setting, "carried", "random", 0, seed, name, *row)
    clicks[2] = random_clicks(target, allowed, classes, 5, draw)
    row = _judged(room, clicks, untouched)
    figures.add(setting, "carried", "random", 5, seed, name, *row)
