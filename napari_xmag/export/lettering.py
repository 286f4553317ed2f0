"""Words in pictures: the font that comes with matplotlib, lines that fit."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import ImageFont


def font_folder() -> Path:
    """Return where matplotlib keeps its fonts; importing all of it for them takes a while."""
    package = find_spec("matplotlib")
    assert package is not None  # we depend on it
    assert package.origin is not None
    return Path(package.origin).with_name("mpl-data") / "fonts" / "ttf"


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which matplotlib brings along: every machine draws the same page."""
    return ImageFont.truetype(font_folder() / "DejaVuSans.ttf", size)


def width(words: str, size: int) -> float:
    """Return the width of words in pixels."""
    return font(size).getlength(words)


def wrap_to_width(words: str, size: int, most: float) -> list[str]:
    """Break words into lines of at most ``most`` pixels; a longer word is shortened."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size) <= most:
            lines[-1] = longer
        else:
            lines.append(cut_to_width(word, size, most))
    return lines


def cut_to_width(words: str, size: int, most: float) -> str:
    """Cut words in the middle so that they fit ``most`` pixels."""
    short, keep = words, len(words)
    while width(short, size) > most and keep > 2:
        keep -= 1
        short = f"{words[: keep - keep // 2]}…{words[len(words) - keep // 2 :]}"
    return short
