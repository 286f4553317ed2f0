"""Tables in Markdown: what a cell holds cannot break them."""

from napari_xmag.markdown import LINE, table, wrapped


def test_a_table() -> None:
    assert table(("class", "slides"), [("benign", 3), ("a|b\nc", 4.5)]) == (
        "| class | slides |\n| --- | --- |\n| benign | 3 |\n| a\\|b c | 4.5 |"
    )


def test_long_lines_are_broken_between_words_and_nothing_else_is() -> None:
    words = "word " * 60
    kept = [f"| {words}|", f"# {words}", "```", words, "```", "", "short"]
    text = "\n".join([*kept, f"- {words}end", words + "x" * 200])
    lines = wrapped(text).split("\n")
    assert lines[: len(kept)] == kept
    assert all(len(line) <= LINE for line in lines[len(kept) : -1])
    first, second = lines[7:9]
    assert first.startswith("- word")
    assert second.startswith("  word")
    assert lines[-1] == "x" * 200
    assert " ".join(wrapped(text).split()) == " ".join(text.split())
