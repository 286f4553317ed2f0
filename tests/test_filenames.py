"""Every name of a file stands in one place, which loads neither torch nor a window."""

import ast
import subprocess
import sys
from pathlib import Path

import napari_xmag
from napari_xmag import filenames

PACKAGE = Path(napari_xmag.__file__).parent
NAMES = {value for name, value in vars(filenames).items() if name.isupper() and "." in value}


def literals(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)
            and isinstance(node.value, str)}  # fmt: skip


def test_no_module_spells_a_name_itself() -> None:
    assert len(NAMES) > 15
    spelled = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        for name in literals(path) & NAMES
    }
    assert {where for where, _ in spelled} == {"filenames.py"}


def test_the_names_load_next_to_nothing() -> None:
    code = (
        "import sys, napari_xmag.filenames; "
        "print(sorted({'torch', 'numpy', 'napari', 'qtpy'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
