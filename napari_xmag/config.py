"""Settings in TOML files: read, overridden, checked, and their paths made to mean what they say."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, ValidationInfo

from napari_xmag.errors import ConfigError

_FOLDER = "folder"


class ConfigSection(BaseModel):
    """A part of a configuration; unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _beside(path: Path, info: ValidationInfo) -> Path:
    path = path.expanduser()
    folder = (info.context or {}).get(_FOLDER)
    return path if folder is None else folder / path


def _source_beside(name: str, info: ValidationInfo) -> str:
    kind, _, place = name.partition(":")
    return f"{kind}:{_beside(Path(place), info)}" if kind == "local-dir" else name


def _folder_beside(name: str, info: ValidationInfo) -> str:
    place = _beside(Path(name), info)
    return str(place) if place.is_dir() else name


AnchoredPath = Annotated[Path, AfterValidator(_beside)]
"""A path; a relative one means that beside the configuration file."""

NetworkSource = Annotated[str, AfterValidator(_source_beside)]
"""A timm name, ``hf-hub:OWNER/NAME``, or ``local-dir:FOLDER`` with an anchored folder."""

NameOrFolder = Annotated[str, AfterValidator(_folder_beside)]
"""A name, unless a folder of that name lies beside the configuration file."""

Config = TypeVar("Config", bound=BaseModel)


def load_config(
    path: Path | None, settings: Sequence[str], kind: type[Config], *, manual: str
) -> Config:
    """Read a TOML file; ``settings`` such as ``fit.epochs=3`` win over it.

    Parameters
    ----------
    path
        The file; relative paths in it mean those beside it. None: all settings have defaults.
    settings
        ``section.name=value``; a number names an item of a list (``tasks.0.seed=1``).
    kind
        The model that checks the values.
    manual
        The page that explains them, named in errors.

    Raises
    ------
    ConfigError
        When the file cannot be read or a value is wrong; every wrong value is named.
    """
    content = {} if path is None else _read(path, manual)
    for setting in settings:
        _apply(content, setting)
    return checked(
        kind,
        content,
        expected=f"a valid configuration in {path.name}" if path else "settings in their range",
        hint=f"Correct these values; {manual} explains each.",
        folder=path.resolve().parent if path else None,
    )


def checked(
    kind: type[Config],
    values: Mapping[str, Any],
    *,
    expected: str = "settings in their range",
    hint: str = "Correct these values.",
    folder: Path | None = None,
) -> Config:
    """Return settings of a kind.

    Parameters
    ----------
    kind
        The model that checks the values.
    expected, hint
        Of the error, in the words of whoever gives the values.
    folder
        What relative paths are relative to; they stay as they are when it is None.

    Raises
    ------
    ConfigError
        When a value is wrong; every wrong value is named.
    """
    try:
        return kind.model_validate(values, context={_FOLDER: folder})
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'all'}: {e['msg']}" for e in error.errors()]
        raise ConfigError(
            expected=expected, found="; ".join(lines), hint=hint, causes=[error]
        ) from error


def _read(path: Path, manual: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            expected=f"a TOML file at {path}",
            found=str(error),
            hint=f"Correct it; {manual} has an example.",
            causes=[error],
        ) from error


def _apply(content: dict[str, Any], setting: str) -> None:
    name, equals, text = setting.partition("=")
    *sections, last = name.split(".")
    if not equals or not all(name.split(".")):
        raise _no_setting(setting)
    place: Any = content
    for section in sections:
        place = _inside(place, section, setting)
    if isinstance(place, list):
        place[_index(place, last, setting)] = _value(text)
    elif isinstance(place, dict):
        place[last] = _value(text)
    else:
        raise _no_setting(setting)


def _inside(place: Any, section: str, setting: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, section, setting)]
    if isinstance(place, dict):
        return place.setdefault(section, {})
    raise _no_setting(setting)


def _index(items: list[Any], text: str, setting: str) -> int:
    if not text.isdecimal() or int(text) >= len(items):
        raise _no_setting(setting)
    return int(text)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word or path needs no quotes


def _no_setting(setting: str) -> ConfigError:
    return ConfigError(
        expected="a setting such as fit.epochs=3, of a section or list item that the file has",
        found=repr(setting),
        hint="Write section.name=value.",
    )
