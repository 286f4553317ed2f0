"""Words in pictures: the font that comes with matplotlib, lines that fit."""

from functools import cache
from pathlib import Path

from PIL import ImageFont


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which matplotlib brings along: every machine draws the same page."""
    # The data path, not the font manager: that one first reads every font of the machine.
    from matplotlib import get_data_path

    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def width(words: str, size: int) -> float:
    """Return the width of words in pixels."""
    return font(size).getlength(words)


def wrapped(words: str, size: int, most: float) -> list[str]:
    """Break words into lines of at most ``most`` pixels; a longer word is shortened."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size) <= most:
            lines[-1] = longer
        else:
            lines.append(shortened(word, size, most))
    return lines


def shortened(words: str, size: int, most: float) -> str:
    """Cut words in the middle so that they fit ``most`` pixels."""
    short, keep = words, len(words)
    while width(short, size) > most and keep > 2:
        keep -= 1
        short = f"{words[: keep - keep // 2]}…{words[len(words) - keep // 2 :]}"
    return short
