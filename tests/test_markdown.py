"""Tables in Markdown: what a cell holds cannot break them."""

from napari_xmag.markdown import table


def test_a_table() -> None:
    assert table(("class", "slides"), [("benign", 3), ("a|b\nc", 4.5)]) == (
        "| class | slides |\n| --- | --- |\n| benign | 3 |\n| a\\|b c | 4.5 |"
    )
