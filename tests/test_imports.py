"""What an import may load, tried in fresh processes; and which room may know which."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import napari_xmag

WINDOW = ("napari", "qtpy", "magicgui", "superqt", "PySide6", "PyQt6", "matplotlib")
HEAVY = ("torch", "timm", "torchvision", "sklearn")
READER = (
    "napari_xmag.slide.open",
    "napari_xmag.slide.pyramid",
    "napari_xmag.slide.tissue",
    "napari_xmag.slide.tiles",
    "napari_xmag.slide.metadata",
)
RESULTS = ("napari_xmag.analyze", "napari_xmag.export", "napari_xmag.zoo", "napari_xmag.cli")
NETWORKS = (
    "napari_xmag.nets.model",
    "napari_xmag.nets.device",
    "napari_xmag.analyze.encoder",
    "napari_xmag.distill",
    "napari_xmag.train",
)


def loaded_by(modules: tuple[str, ...]) -> set[str]:
    """Import modules in a fresh process; return the top-level packages that this loaded."""
    code = (
        f"import sys, {', '.join(modules)}; print(*{{name.split('.')[0] for name in sys.modules}})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("modules", [READER, RESULTS], ids=["reader", "results"])
def test_neither_a_window_nor_torch(modules: tuple[str, ...]) -> None:
    assert not loaded_by(modules) & {*WINDOW, *HEAVY}


def test_networks_need_no_window() -> None:
    assert not loaded_by(NETWORKS) & set(WINDOW)


def test_help_is_quick_and_light() -> None:
    code = (
        "import sys\n"
        "from napari_xmag.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split("LOADED")[1].split())
    assert "analyze" in done.stdout
    assert not loaded & {*WINDOW, *HEAVY, "numpy"}


PACKAGE = Path(napari_xmag.__file__).parent
ROOMS_APART = ("distill", "evaluate", "train")


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_by(path: Path) -> set[str]:
    """Return every module that a file imports at any depth, types alone excepted."""
    found = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in names if is_module(name)}
            found |= modules if modules == names else modules | {node.module}
    return found


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def statements(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from statements(node)


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """What each module of the package imports."""
    return {module_name(path): imported_by(path) for path in PACKAGE.rglob("*.py")}


def test_no_circle_of_imports(imports: dict[str, set[str]]) -> None:
    own = {name: wanted & imports.keys() for name, wanted in imports.items()}
    # The facade is loaded before any of its modules; what it hands out it imports on first use.
    own["napari_xmag"] = set()
    TopologicalSorter(own).prepare()


def room_of(module: str) -> str:
    return module.partition(".")[2].partition(".")[0]


def test_rooms_import_only_rooms_below_them(imports: dict[str, set[str]]) -> None:
    """The floors are those of the page on architecture, the last of them shared by all."""
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = re.findall(r"^- ((?:`[\w./]+`[,\s]*)+):", page, re.MULTILINE)
    floors = [re.findall(r"`(\w+)(?:/|\.py)`", line) for line in rooms]
    floor_of = {room: number for number, floor in enumerate(floors) for room in floor}
    lowest = len(floors) - 1
    for name, wanted in imports.items():
        for other in {*map(room_of, wanted & imports.keys())} - {room_of(name), ""}:
            above, below = floor_of[room_of(name)], floor_of[other]
            assert above < below or above == below == lowest, f"{name} imports {other}"


def test_distill_evaluate_and_train_know_nothing_of_one_another(
    imports: dict[str, set[str]],
) -> None:
    for name, wanted in imports.items():
        room = name.partition(".")[2].partition(".")[0]
        others = tuple(f"napari_xmag.{other}" for other in ROOMS_APART if other != room)
        if room in ROOMS_APART:
            assert not [item for item in wanted if item.startswith(others)], name


def test_only_gui_imports_a_window_library(imports: dict[str, set[str]]) -> None:
    window = {"napari", "qtpy", "magicgui", "superqt", "PySide6", "PyQt6", "vispy"}
    for name, wanted in imports.items():
        if not name.startswith("napari_xmag._gui"):
            assert not window & {item.split(".")[0] for item in wanted}, name


def test_nothing_imports_the_facade(imports: dict[str, set[str]]) -> None:
    assert [name for name, wanted in imports.items() if "napari_xmag" in wanted] == []
