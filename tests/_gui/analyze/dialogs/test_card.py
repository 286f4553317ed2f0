"""The card of a model, in the window."""

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from napari_xmag._gui.analyze.dialogs.card import CardDialog
from napari_xmag.zoo import ModelEntry

pytestmark = pytest.mark.window


def test_the_card_is_shown_without_its_settings(qtbot: QtBot, tmp_path: Path) -> None:
    card = "---\nlicense: mit\n---\n# A model\n\nFor colon *only*.\n"
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    dialog = CardDialog(ModelEntry("a", tmp_path, None))
    qtbot.addWidget(dialog)
    assert dialog.text.toPlainText().split() == ["A", "model", "For", "colon", "only."]


def test_a_model_without_a_card_says_so(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = CardDialog(ModelEntry("a", tmp_path, None))
    qtbot.addWidget(dialog)
    assert "no model card" in dialog.text.toPlainText()
