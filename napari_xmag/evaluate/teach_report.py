"""Figures of teaching, as JSON and CSV for programs and Markdown for people."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from napari_xmag._about import NOTICE
from napari_xmag.analyze.provenance import program_versions
from napari_xmag.evaluate.bounds import BoundRow, bound_table
from napari_xmag.filenames import RESULTS, RESULTS_TABLE
from napari_xmag.files import whole_file, write_json
from napari_xmag.markdown import table

CLICKS = "clicks.csv"
_REPLICATES = 2000
_TAILS = (0.025, 0.975)
_SHARED = (
    "Slides of different sides are compared by the classes that both sides show. A question is "
    "left out on slides that lack classes for it."
)


class Setting(Protocol):
    """What was fitted."""

    @property
    def source(self) -> str:
        """Name of the slides."""

    @property
    def encoder(self) -> str:
        """Name of the encoder."""

    @property
    def variant(self) -> str:
        """Name of the way of fitting."""


@dataclass(frozen=True, slots=True)
class ClickRow:
    """What some clicks taught, judged on one slide.

    Attributes
    ----------
    mode
        within: on islands of the slide that were not touched; across: on slides that were not;
        carried: on slides of another source, without clicks there or after five a class.
    strategy
        random or suggested.
    clicks
        Of each class (of a carried row: on the new slide).
    auc, balanced_accuracy
        On the patches that were judged.
    estimate, low, high
        What the program itself said of its balanced accuracy; None when it could not say.
    """

    source: str
    encoder: str
    variant: str
    mode: str
    strategy: str
    clicks: int
    seed: int
    slide: str
    auc: float
    balanced_accuracy: float
    estimate: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class NotTaughtRow:
    """How much was called not taught when one class had no example, as parts of 1.

    Attributes
    ----------
    unseen
        The class without an example.
    hit, false_alarm
        Part that is not taught, of its patches and of those of the taught classes.
    """

    source: str
    encoder: str
    variant: str
    clicks: int
    unseen: str
    hit: float
    false_alarm: float


@dataclass
class TeachFigures:
    """All rows of an evaluation."""

    clicks: list[ClickRow] = field(default_factory=list)
    not_taught: list[NotTaughtRow] = field(default_factory=list)
    bounds: list[BoundRow] = field(default_factory=list)

    def add(
        self,
        setting: Setting,
        mode: str,
        strategy: str,
        clicks: int,
        seed: int,
        slide: str,
        auc: float,
        balanced_accuracy: float,
        estimate: float | None,
        low: float,
        high: float,
    ) -> None:
        """Add a row of clicks."""
        of = setting.source, setting.encoder, setting.variant
        figures = auc, balanced_accuracy, estimate
        row = ClickRow(*of, mode, strategy, clicks, seed, slide, *figures, low=low, high=high)
        self.clicks.append(row)


def write_figures(figures: TeachFigures, config: Mapping[str, Any], out: Path) -> None:
    """Write results.json, results.md and clicks.csv.

    Raises
    ------
    ExportError
        When the folder cannot be written.
    """
    with whole_file(out / CLICKS) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [item.name for item in fields(ClickRow)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in figures.clicks)
    content = {
        "format": "napari-xmag evaluation",
        "kind": "teach",
        "notice": NOTICE,
        "config": config,
        "versions": program_versions(),
        "clicks": click_table(figures.clicks),
        "estimate": estimate_table(figures.clicks),
        "lift": lift_table(figures.clicks),
        "not_taught": not_taught_table(figures.not_taught),
        "bounds": bound_table(figures.bounds),
    }
    write_json(out / RESULTS, content)
    with whole_file(out / RESULTS_TABLE) as part:
        part.write_text(_markdown(content), encoding="utf-8")


def click_table(rows: Iterable[ClickRow]) -> list[dict[str, Any]]:
    """Return mean and interval of AUC and balanced accuracy for each setting and number of clicks.

    The interval is a bootstrap over slides.
    """
    grouped: dict[tuple[Any, ...], list[ClickRow]] = defaultdict(list)
    for row in rows:
        key = row.source, row.encoder, row.variant, row.mode, row.strategy, row.clicks
        grouped[key].append(row)
    names = ("source", "encoder", "variant", "mode", "strategy", "clicks")
    lines = []
    for key, some in grouped.items():
        by_slide: dict[str, list[ClickRow]] = defaultdict(list)
        for row in some:
            by_slide[row.slide].append(row)
        figures = {
            name: _interval(
                [float(np.mean([getattr(r, name) for r in s])) for s in by_slide.values()]
            )
            for name in ("auc", "balanced_accuracy")
        }
        lines.append(dict(zip(names, key, strict=True)) | figures | {"slides": len(by_slide)})
    return lines


def estimate_table(rows: Iterable[ClickRow]) -> list[dict[str, Any]]:
    """Return how far the program's own estimate lies from the truth, by number of clicks."""
    grouped: dict[tuple[str, str, int], list[ClickRow]] = defaultdict(list)
    for row in rows:
        if row.strategy == "random" and row.mode in ("within", "across"):
            grouped[row.mode, row.encoder, row.clicks].append(row)
    lines = []
    for (mode, encoder, clicks), some in grouped.items():
        said = [row for row in some if row.estimate is not None]
        errors = np.array([(row.estimate or 0) - row.balanced_accuracy for row in said])
        covered = [row.low <= row.balanced_accuracy <= row.high for row in said]
        lines.append(
            {
                "mode": mode,
                "encoder": encoder,
                "clicks": clicks,
                "said": len(said) / len(some),
                "bias": float(errors.mean()) if said else None,
                "mean_error": float(np.abs(errors).mean()) if said else None,
                "covered": float(np.mean(covered)) if said else None,
            }
        )
    return lines


def lift_table(rows: Iterable[ClickRow]) -> list[dict[str, Any]]:
    """Return by how much clicks on a slide of another source lift its AUC, with an interval."""
    grouped: dict[tuple[str, str], dict[str, dict[tuple[int, int], float]]] = defaultdict(dict)
    for row in rows:
        if row.mode == "carried":
            of_slide = grouped[row.source, row.encoder].setdefault(row.slide, {})
            of_slide[row.clicks, row.seed] = row.auc
    lines = []
    for (source, encoder), by_slide in grouped.items():
        clicks = max(count for of_slide in by_slide.values() for count, _ in of_slide)
        lifts = [
            float(np.mean([auc - of_slide[0, seed] for (n, seed), auc in of_slide.items() if n]))
            for of_slide in by_slide.values()
        ]
        names = {"source": source, "encoder": encoder, "clicks": clicks, "slides": len(lifts)}
        lines.append(names | {"lift": _interval(lifts)})
    return lines


def not_taught_table(rows: Iterable[NotTaughtRow]) -> list[dict[str, Any]]:
    """Return hits and false alarms by number of clicks."""
    grouped: dict[tuple[Any, ...], list[NotTaughtRow]] = defaultdict(list)
    for row in rows:
        grouped[row.source, row.encoder, row.variant, row.unseen, row.clicks].append(row)
    names = ("source", "encoder", "variant", "unseen", "clicks")
    return [
        dict(zip(names, key, strict=True))
        | {
            "hit": float(np.mean([row.hit for row in some])),
            "false_alarm": float(np.mean([row.false_alarm for row in some])),
        }
        for key, some in grouped.items()
    ]


def _interval(values: Sequence[float]) -> tuple[float, float, float]:
    drawn = np.random.default_rng(0).choice(values, (_REPLICATES, len(values))).mean(1)
    low, high = np.quantile(drawn, _TAILS)
    return float(np.mean(values)), float(low), float(high)


def _markdown(content: Mapping[str, Any]) -> str:
    parts = [f"# Teaching by clicks\n\n{NOTICE}"]
    lines = content["clicks"]
    heads = ("source", "encoder", "fit", "judged", "clicks chosen", "clicks per class", "AUC")
    cells = [
        (
            *(line["source"], line["encoder"], line["variant"], line["mode"], line["strategy"]),
            str(line["clicks"]),
            _words(line["auc"]),
            _words(line["balanced_accuracy"]),
        )
        for line in lines
    ]
    parts.append("## Clicks\n\n" + table((*heads, "balanced accuracy"), cells))
    own = [
        (
            *(line["mode"], line["encoder"], str(line["clicks"]), f"{line['said']:.0%}"),
            *("" if line[n] is None else f"{line[n]:+.3f}" for n in ("bias", "mean_error")),
            "" if line["covered"] is None else f"{line['covered']:.0%}",
        )
        for line in content["estimate"]
    ]
    columns = ("judged", "encoder", "clicks per class", "said", "bias", "mean error", "covered")
    parts.append("## Estimate shown to the user\n\n" + table(columns, own))
    lifted = [
        (line["source"], line["encoder"], str(line["clicks"]), _words(line["lift"], "+.3f"))
        for line in content["lift"]
    ]
    titles = ("taught on, carried to", "encoder", "clicks per class there", "AUC rises by")
    parts.append(
        "## Carried to other slides\n\n" + (table(titles, lifted) if lifted else "One source only.")
    )
    unseen = [
        (
            *(line["source"], line["encoder"], line["variant"], line["unseen"]),
            *(str(line["clicks"]), f"{line['hit']:.0%}", f"{line['false_alarm']:.0%}"),
        )
        for line in content["not_taught"]
    ]
    columns = ("source", "encoder", "fit", "unseen class", "clicks per class", "hit", "false alarm")
    parts.append(
        "## Not taught\n\n" + (table(columns, unseen) if unseen else "No slide of three classes.")
    )
    if content["bounds"]:
        parts.append(_bounds(content["bounds"]))
    return "\n\n".join(parts) + "\n"


def _bounds(lines: Sequence[Mapping[str, Any]]) -> str:
    cells = [
        (
            *(line["source"], line["encoder"], line["question"], str(line["slides"])),
            *(f"{line[name]:.3f}" for name in ("auc", "balanced_accuracy")),
            "" if line["hit"] is None else f"{line['hit']:.0%}",
        )
        for line in lines
    ]
    figures = "AUC", "balanced accuracy", "hit at 10 % false alarms"
    rows = table(("source", "encoder", "judged", "slides", *figures), cells)
    return f"## What probes reach that see all other islands\n\n{rows}\n\n{_SHARED}"


def _words(figure: Sequence[float], form: str = ".3f") -> str:
    value, low, high = (format(number, form) for number in figure)
    return f"{value} ({low} to {high})"
