"""Names of classes as files state them, and as they are shown."""

import pytest

from napari_xmag.qupath.classes import (
    class_names,
    class_words,
    is_ignored,
    is_our_patch,
    stated_color,
)


@pytest.mark.parametrize(
    ("stated", "shown"),
    [
        ("\x1b[31mTumor\x1b[0m", r"\x1b[31mTumor\x1b[0m"),
        ("Tumor\n# Heading", "Tumor # Heading"),
        ("Tumor\0", r"Tumor\x00"),
        ("\ud800\u202eTumor", r"\ud800\u202eTumor"),
        (" Tumor \t\xa0 budding : Posi\r\ntive ", "Tumor budding: Posi tive"),
        ("Tumör, 腫瘍", "Tumör, 腫瘍"),
    ],
)
def test_names_are_on_one_line_and_command_nothing(stated: str, shown: str) -> None:
    for form in (stated, {"name": stated}, {"names": stated.split(":")}):
        assert class_words(class_names(form)) == shown
    assert class_names(shown) == class_names(stated)


@pytest.mark.parametrize(
    "parts",
    [["x" * 5000], ["x" * 5000 + "y"], ["z" + "x" * 5000], ["a"] * 5000, ["ab"] * 5000],
)
def test_a_long_name_is_shown_in_short_and_stays_itself(parts: list[str]) -> None:
    shown = class_words(class_names({"names": parts}))
    assert len(shown) <= 100
    assert class_words(class_names(": ".join(parts))) == shown
    assert class_words(class_names(shown)) == shown
    longer = class_names({"names": [*parts[:-1], f"{parts[-1][:30]}q{parts[-1][30:]}"]})
    assert class_words(longer) != shown
    assert is_ignored(class_names({"names": [*parts[:-1], f"{parts[-1]}*"]}))


def test_a_name_as_long_as_a_label_is_whole() -> None:
    assert class_words(["x" * 100]) == "x" * 100


def test_no_colour_is_made_of_truths() -> None:
    assert stated_color({"color": [True, False, True]}) is None
    assert stated_color({"colorRGB": True}) is None
    assert stated_color({"colorRGB": (1 << 1400) + 0x010203}) == (1, 2, 3)


def test_our_patches_are_told_by_their_name() -> None:
    assert is_our_patch("XMAG patch 1, 2")
    assert not is_our_patch("XMAG patches")
