"""Words in pictures: a font that every machine has, lines that fit."""

import unicodedata
from functools import cache

from PIL import ImageFont

# Ordinary sans-serif fonts of Linux, macOS and Windows, which know µ and the letters of names.
_SYSTEM_FONTS = (
    "DejaVuSans.ttf",
    "LiberationSans-Regular.ttf",
    "NotoSans-Regular.ttf",
    "Arial.ttf",
    "arial.ttf",
)
_SPELT_OUT = {"µm": "micron", "²": "2", "−": "-", "–": "-", "×": "x", "·": "-"}


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return a scalable font: the system's, or else the one that comes with Pillow."""
    name = _system_font()
    return ImageFont.truetype(name, size) if name else ImageFont.load_default(size)


def legible(words: str) -> str:
    """Spell out what Pillow's own font, which knows little more than English, lacks."""
    if _system_font():
        return words
    for sign, spelt in _SPELT_OUT.items():
        words = words.replace(sign, spelt)
    plain = unicodedata.normalize("NFKD", words)
    return "".join(sign for sign in plain if sign.isascii())


@cache
def _system_font() -> str:
    for name in _SYSTEM_FONTS:
        try:
            ImageFont.truetype(name, 16)
        except OSError:  # not on this machine
            continue
        return name
    return ""


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
