"""The scripts that run XMAG inside QuPath, put into its user folder."""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from napari_xmag.errors import ExportError
from napari_xmag.files import whole_file

SCRIPTS = ("Analyze_slide.groovy", "Add_to_menu.groovy")
"""QuPath shows them as "Analyze slide" and "Add to menu"."""

MENU = "Automate > User scripts... > XMAG"
"""Where in QuPath 0.5 to 0.7."""

_FOLDER = Path("scripts") / "XMAG"
_COMMAND = re.compile(r"^@Field List COMMAND = \[(.*)\]$", re.MULTILINE)
_PLACE = re.compile(r"^def FOLDER = '.*'$", re.MULTILINE)
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
_ESCAPE = re.compile(r"\\(u[0-9a-f]{4}|.)")
_VERSION = re.compile(r"v(\d+)\.(\d+)")
_OLDEST = (0, 5)
_MOST_SECONDS = 60


def own_command() -> tuple[str, ...]:
    """Return how to start this very installation: its Python, whatever the search path says."""
    return (Path(sys.executable).as_posix(), "-m", "napari_xmag.cli")


def user_folders(home: Path | None = None) -> list[Path]:
    """Return the user folders of QuPath 0.5 and later, the newest version first.

    On Linux, Windows and macOS alike QuPath suggests ``QuPath/v0.7`` in the user's home.
    """
    parent = (home or Path.home()) / "QuPath"
    found = []
    for folder in parent.glob("v*"):
        match = _VERSION.fullmatch(folder.name)
        version = (int(match[1]), int(match[2])) if match else (0, 0)
        if version >= _OLDEST and folder.is_dir():
            found.append((version, folder))
    return [folder for _, folder in sorted(found, reverse=True)]


def require_folders(named: Path | None) -> list[Path]:
    """Return the folder that was named, or those that are found.

    Raises
    ------
    ExportError
        When there is none.
    """
    folders = user_folders() if named is None else [named]
    missing = [folder for folder in folders if not folder.is_dir()]
    if folders and not missing:
        return folders
    raise ExportError(
        expected="a user folder of QuPath 0.5 or later",
        found=f"no folder {missing[0]}" if missing else f"none in {Path.home() / 'QuPath'}",
        hint="Start QuPath once and let it make its user directory, or name it: QuPath shows it "
        "under Edit > Preferences > Extensions > QuPath user directory.",
    )


def script_folder(user_folder: Path) -> Path:
    """Return where the scripts lie in a user folder."""
    return user_folder / _FOLDER


def install(user_folder: Path, command: Sequence[str] | None = None) -> list[Path]:
    """Write the scripts; earlier ones are replaced.

    Parameters
    ----------
    user_folder
        QuPath's user directory.
    command
        How the script starts this program; `own_command` when None.

    Raises
    ------
    ExportError
        When they cannot be written.
    """
    folder = script_folder(user_folder.absolute())
    texts = _texts(folder, command or own_command())
    for name, text in texts.items():
        with whole_file(folder / name) as part:
            part.write_text(text, encoding="ascii", newline="\n")
    return [folder / name for name in SCRIPTS]


def uninstall(user_folder: Path) -> list[Path]:
    """Remove the scripts, and their folder where nothing else is in it; return what was removed.

    Raises
    ------
    ExportError
        When they cannot be removed.
    """
    folder = script_folder(user_folder)
    removed = [folder / name for name in SCRIPTS if (folder / name).exists()]
    try:
        for path in removed:
            path.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise ExportError(
            expected=f"to remove the scripts in {folder}",
            found=error.strerror or str(error),
            hint="Remove them by hand.",
            causes=(error,),
        ) from error
    return removed


def _texts(folder: Path, command: Sequence[str]) -> dict[str, str]:
    """Return the scripts as they belong into a folder."""
    analyze, menu = SCRIPTS
    parts = ", ".join(map(_quoted, command))
    return {
        analyze: _set(_packaged(analyze), _COMMAND, f"@Field List COMMAND = [{parts}]"),
        menu: _set(_packaged(menu), _PLACE, f"def FOLDER = {_quoted(folder.as_posix())}"),
    }


def _packaged(name: str) -> str:
    return files("napari_xmag.qupath").joinpath("scripts", name).read_text(encoding="ascii")


def _set(text: str, pattern: re.Pattern[str], line: str) -> str:
    assert pattern.search(text), line  # scripts and this module belong together
    return pattern.sub(lambda _: line, text, count=1)


def _quoted(text: str) -> str:
    """Return a Groovy string in ASCII: QuPath may read the file in the system's code page."""
    # UTF-16 units, as Java has them
    units = text.encode("utf-16-be")
    codes = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    return f"'{''.join(map(_escaped, codes))}'"


def _escaped(code: int) -> str:
    if code >= 128:
        return f"\\u{code:04x}"
    return f"\\{chr(code)}" if chr(code) in "\\'" else chr(code)


def _unquoted(text: str) -> str:
    def plain(match: re.Match[str]) -> str:
        code = match[1]
        return code if len(code) == 1 else chr(int(code[1:], 16))

    units = _ESCAPE.sub(plain, text)
    return units.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dataclass(frozen=True, slots=True)
class Installed:
    """What was found in one user folder.

    Attributes
    ----------
    folder
        The user folder.
    command
        How its script starts this program; empty where it names none.
    faults
        What is wrong, script by script, in words; empty when all is well.
    """

    folder: Path
    command: tuple[str, ...]
    faults: tuple[str, ...]


def installed_scripts(folders: Sequence[Path]) -> Iterator[Installed]:
    """Look at all scripts in each user folder, and try their command."""
    for folder in folders:
        scripts = script_folder(folder.absolute())
        texts = {name: _read(scripts / name) for name in SCRIPTS}
        command = _command_in(texts[SCRIPTS[0]] or "")
        current = _texts(scripts, command)
        faults = [_fault(name, text, current[name]) for name, text in texts.items()]
        if command and not _starts(command):
            faults.append(f"{' '.join(command)} does not start")
        yield Installed(folder, command, tuple(filter(None, faults)))


def _read(path: Path) -> str | None:
    """Return a script, which is empty where it cannot be read; None where there is none."""
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return ""


def _command_in(text: str) -> tuple[str, ...]:
    match = _COMMAND.search(text)
    return tuple(_unquoted(part) for part in _QUOTED.findall(match[1])) if match else ()


def _fault(name: str, text: str | None, current: str) -> str:
    if text is None:
        return f"{name} does not exist"
    if not text:
        return f"{name} is empty, or cannot be read"
    if _PLACE.sub("", text) == _PLACE.sub("", current) and text != current:
        return f"{name} looks for the scripts in another folder"
    return "" if text == current else f"{name} is of another version, or was changed"


def _starts(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(
            [*command, "--version"], capture_output=True, timeout=_MOST_SECONDS, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and b"napari-xmag" in done.stdout
