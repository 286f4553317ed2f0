"""The recipes of the documents are valid configurations."""

from pathlib import Path

import pytest

from napari_xmag.config import ConfigSection, load_config
from napari_xmag.evaluate.config import (
    MANUAL,
    AgreementConfig,
    PatchConfig,
    RobustnessConfig,
    SlidesConfig,
    SpeedConfig,
)

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("evaluate_patches", PatchConfig),
        ("evaluate_agreement", AgreementConfig),
        ("evaluate_robustness", RobustnessConfig),
        ("evaluate_slides", SlidesConfig),
        ("evaluate_speed", SpeedConfig),
        ("six_tasks_patches", PatchConfig),
        ("six_tasks_slides", SlidesConfig),
    ],
)
def test_recipe_is_valid(name: str, kind: type[ConfigSection]) -> None:
    path = DOCS / "recipes" / f"{name}.toml"
    load_config(path, (), kind, manual=MANUAL)
    assert name in (DOCS / "evaluate.md").read_text(encoding="utf-8")
