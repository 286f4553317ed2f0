"""Draw the ways of slides through the program: python docs/make_architecture.py."""

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

PICTURE = Path(__file__).parent / "images" / "architecture.svg"

BOX_WIDTH, BOX_HEIGHT, GAP = 132, 50, 26
LEFT, TOP, LANE = 24, 44, 128
# Name, colour, rows of boxes.
LANES = (("Analyze", "#e8f1fb", 1), ("Train", "#eaf6ea", 1), ("Distil", "#fdf1e3", 2))
ROW = 66  # from one row of a lane to the next


@dataclass(frozen=True)
class Step:
    """One box: what it is, the module where it is found, its place."""

    title: str
    module: str
    column: int
    lane: int
    row: int = 0


STEPS = {
    "slide": Step("Slide", "slide/open", 0, 0),
    "tissue": Step("Tissue mask", "slide/tissue", 1, 0),
    "bag": Step("Bag of tiles", "slide/bag", 2, 0),
    "reader": Step("Tile reader", "slide/tiles", 3, 0),
    "student": Step("Student, 5x", "nets/student", 4, 0),
    "head": Step("Attention head", "nets/heads/abmil", 5, 0),
    "result": Step("Slide result", "analyze/result", 6, 0),
    "shown": Step("Layers, exports", "_gui, export, qupath", 7, 0),
    "cohort": Step("Cohort", "cohort/cohort", 0, 1),
    "split": Step("Split by patient", "cohort/splits", 1, 1),
    "features": Step("Features, once", "mil/features", 2, 1),
    "head_training": Step("Head training", "mil, learn/fit", 3, 1),
    "end_to_end": Step("End to end", "train/end_to_end", 4, 1),
    "report": Step("Calibration, report", "stats, train/report", 5, 1),
    "model": Step("Model folder", "zoo", 6, 1),
    "prepare": Step("Slides", "distill/sources", 0, 2),
    "fields": Step("Tissue fields", "distill/prepare", 1, 2),
    "teacher": Step("Teacher, 16 × 20x", "nets/teachers", 2, 2),
    "small": Step("Student, 1 × 5x", "nets/student", 2, 2, 1),
    "loss": Step("Global, local loss", "distill/losses", 3, 2),
    "loop": Step("Training loop", "learn/fit", 4, 2),
    "encoder": Step("Student folder", "nets/encoder", 5, 2),
}
WAYS = (
    ("slide", "tissue", "bag", "reader", "student", "head", "result", "shown"),
    ("cohort", "split", "features", "head_training", "end_to_end", "report", "model"),
    ("prepare", "fields", "teacher", "loss", "loop", "encoder"),
    ("fields", "small", "loss"),
)
# From one lane to another, with what goes that way.
LINKS = (
    ("model", "head", "is loaded"),
    ("encoder", "model", "its encoder"),
    ("bag", "features", "the same tiles"),
)


def draw() -> str:
    """Return the picture as SVG."""
    columns = 1 + max(step.column for step in STEPS.values())
    width = LEFT * 2 + columns * BOX_WIDTH + (columns - 1) * GAP
    height = top_of(len(LANES)) - 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="12">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        'markerHeight="7" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="#555"/>'
        "</marker></defs>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *(lane(number, width) for number in range(len(LANES))),
        *(arrow(a, b) for way in WAYS for a, b in pairwise(way)),
        *(link(*one) for one in LINKS),
        *(box(step) for step in STEPS.values()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def top_of(lane: int) -> int:
    """Return the upper edge of the first boxes of a lane."""
    return TOP + sum(LANE + (rows - 1) * ROW for _, _, rows in LANES[:lane])


def corner(step: Step) -> tuple[int, int]:
    """Return the upper left corner of a box."""
    return LEFT + step.column * (BOX_WIDTH + GAP), top_of(step.lane) + step.row * ROW


def lane(number: int, width: int) -> str:
    """Return the strip behind one way, with its name."""
    name, color, rows = LANES[number]
    y, height = top_of(number) - 32, LANE - 20 + (rows - 1) * ROW
    return (
        f'<rect x="8" y="{y}" width="{width - 16}" height="{height}" rx="8" fill="{color}"/>'
        f'<text x="{LEFT}" y="{y + 20}" font-weight="bold" fill="#333">{escape(name)}</text>'
    )


def box(step: Step) -> str:
    """Return one step."""
    x, y = corner(step)
    middle = x + BOX_WIDTH // 2
    return (
        f'<rect x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5" fill="white" '
        f'stroke="#555"/><text x="{middle}" y="{y + 21}" text-anchor="middle" fill="#111">'
        f'{escape(step.title)}</text><text x="{middle}" y="{y + 38}" text-anchor="middle" '
        f'font-family="monospace" font-size="10" fill="#555">{escape(step.module)}</text>'
    )


def arrow(first: str, second: str) -> str:
    """Return the arrow from one step to the next of its way."""
    (x1, y1), (x2, y2) = corner(STEPS[first]), corner(STEPS[second])
    return line(x1 + BOX_WIDTH, y1 + BOX_HEIGHT // 2, x2, y2 + BOX_HEIGHT // 2)


def link(first: str, second: str, words: str) -> str:
    """Return the dashed arrow from a step of one way to a step of another."""
    (x1, y1), (x2, y2) = corner(STEPS[first]), corner(STEPS[second])
    upwards = y2 < y1
    y1, y2 = (y1, y2 + BOX_HEIGHT) if upwards else (y1 + BOX_HEIGHT, y2)
    x1, x2 = x1 + BOX_WIDTH // 2, x2 + BOX_WIDTH // 2
    label = (
        f'<text x="{(x1 + x2) // 2 + 14}" y="{(y1 + y2) // 2 + 4}" font-size="10" fill="#555">'
        f"{escape(words)}</text>"
    )
    return line(x1, y1, x2, y2, dashed=True) + label


def line(x1: int, y1: int, x2: int, y2: int, *, dashed: bool = False) -> str:
    """Return an arrow."""
    dashes = ' stroke-dasharray="4 3"' if dashed else ""
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#555"{dashes} '
        'marker-end="url(#tip)"/>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
