"""Write docs/settings.md from the settings themselves: python docs/make_settings.py."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from napari_xmag.distill.config import DistillConfig
from napari_xmag.evaluate.config import (
    AgreementConfig,
    PatchConfig,
    RobustnessConfig,
    SlidesConfig,
    SpeedConfig,
)
from napari_xmag.evaluate.teach_config import TeachConfig
from napari_xmag.train.config import TrainConfig

PAGE = Path(__file__).parent / "settings.md"
WIDTH = 120
SECTIONS = {
    "Training": ("napari-xmag train", TrainConfig),
    "Distillation": ("napari-xmag distill run", DistillConfig),
    "Evaluation of tiles": ("napari-xmag evaluate probe", PatchConfig),
    "Evaluation of slides": ("napari-xmag evaluate slides", SlidesConfig),
    "Agreement with the teacher": ("napari-xmag evaluate agreement", AgreementConfig),
    "Robustness": ("napari-xmag evaluate robustness", RobustnessConfig),
    "Teaching": ("napari-xmag evaluate teach", TeachConfig),
    "Speed": ("napari-xmag evaluate speed", SpeedConfig),
}
HEAD = """# All settings

Settings are given in a TOML file or, for one run, as `--set section.name=value`, which wins over
the file. The window makes its form for a training from the same list. In a name, `N` stands for the
place in a list, from 0: `tasks.0.folds=3`.

This page is written by `docs/make_settings.py`.
"""


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for title, (command, config) in SECTIONS.items():
        parts += [f"## {title}\n", f"`{command}`\n", *items(config), ""]
    return "\n".join(parts)


def items(
    config: type[BaseModel], prefix: str = "", given: BaseModel | None = None
) -> Iterator[str]:
    """Yield one list item for each setting.

    Parameters
    ----------
    prefix
        Stands before each name.
    given
        What the section is by default, where that differs from the defaults of its class.
    """
    for name, field in config.model_fields.items():
        default = field.default if given is None else getattr(given, name)
        if is_section(field.annotation):
            section = default if isinstance(default, BaseModel) else None
            yield from items(field.annotation, f"{prefix}{name}.", section)
        elif (kind := listed(field.annotation)) and kind not in sections_of(config):
            yield from items(kind, f"{prefix}{name}.N.")
        else:
            yield item(prefix + name, field, default)


def is_section(kind: object) -> bool:
    """Say whether a field holds settings of its own."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def listed(kind: object) -> type[BaseModel] | None:
    """Return the section of which a field holds any number; None where it does not."""
    inner = get_args(kind)[0] if get_origin(kind) is tuple else None
    return inner if is_section(inner) else None


def sections_of(config: type[BaseModel]) -> list[object]:
    """Return the sections that a configuration has once."""
    return [field.annotation for field in config.model_fields.values()]


def item(name: str, field: FieldInfo, default: object) -> str:
    """Return one setting: name, default, its label in the window, meaning."""
    parts = [f"- `{name}`"]
    if default is not PydanticUndefined and not listed(field.annotation):
        parts.append(f"({said(default)})")
    if field.title:
        parts.append(f"*{field.title}*")
    words = field.description or "More of them, each with the same settings."
    return textwrap.fill(
        f"{' '.join(parts)}: {words}{choices(field)}",
        WIDTH,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def choices(field: FieldInfo) -> str:
    """Return what the window calls each value of a choice, as a sentence."""
    extra = field.json_schema_extra
    names = extra.get("choices", {}) if isinstance(extra, dict) else {}
    shown = ", ".join(f'`"{value}"` = {name}' for value, name in names.items())
    return f" Values: {shown}." if shown else ""


def said(value: object) -> str:
    """Return a default as TOML has it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{list(value)}`" if isinstance(value, tuple) else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
