"""What people install: an editable checkout, a wheel, an sdist; with and without a window."""

import ast
import json
import os
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions, requires
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from napari_xmag._about import __version__
from tests.slides import draw_section, write_pyramid
from tests.test_imports import PACKAGE, imported_by

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODELS = sorted(folder.name for folder in (ROOT / "models").iterdir() if folder.is_dir())

# Run in a fresh process, where only the installed copy can be found first.
PROBE = """
import json, sys
from pathlib import Path
import napari_xmag
from npe2 import PluginManager, PluginManifest
from napari_xmag.zoo import list_models
manager = PluginManager()
manager.discover()
manifest = manager.get_manifest("napari-xmag")
for command in manifest.contributions.commands:
    module, _, name = command.python_name.partition(":")
    __import__(module)
    assert callable(getattr(sys.modules[module], name)), command.python_name
print(json.dumps({
    "package": str(Path(napari_xmag.__file__).parent),
    "version": manifest.package_version,
    "readers": len(manifest.contributions.readers),
    "samples": len(manifest.contributions.sample_data),
    "models": [entry.name for entry in list_models() if not entry.problem],
}))
"""


# What only the extras bring cannot be found in this process.
WITHOUT_EXTRAS = """
import sys
from importlib.machinery import PathFinder
class Blinkered(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] not in {blocked}:
            return super().find_spec(name, path, target)
sys.meta_path[:] = [Blinkered if finder is PathFinder else finder for finder in sys.meta_path]
from napari_xmag.cli import main
sys.exit(main(sys.argv[1:]))
"""
ONLY_WITH_EXTRAS = {
    *("napari", "npe2", "vispy", "PySide6", "PyQt6", "shiboken6", "app_model"),
    *("pandas", "distributed"),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from the sdist, so that the sdist is proven complete."""
    folder = tmp_path_factory.mktemp("built")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return folder


def run(*command: str, folder: Path = ROOT, **environment: str) -> str:
    """Run a command in a folder and return its output; its words are shown when it fails."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def install(archive: Path, target: Path) -> None:
    run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--disable-pip-version-check", "--target", str(target), str(archive)),
    )


@pytest.mark.parametrize("pattern", ["*.whl", "*.tar.gz"])
def test_an_installed_archive_is_a_whole_plugin(built: Path, tmp_path: Path, pattern: str) -> None:
    (archive,) = built.glob(pattern)
    site = tmp_path / "site"
    install(archive, site)
    found = json.loads(
        run(
            *(sys.executable, "-W", "ignore", "-c", PROBE),
            folder=tmp_path,  # not the checkout, whose package would come first
            PYTHONPATH=str(site),
            NAPARI_XMAG_HOME=str(tmp_path / "home"),
            QT_QPA_PLATFORM="offscreen",
        )
    )
    assert Path(found["package"]) == site / "napari_xmag"
    assert found["version"] == __version__
    assert found["readers"] == 1
    assert found["samples"] == 2
    assert found["models"] == MODELS


def without_extras(site: Path, folder: Path, *arguments: str) -> str:
    """Run the command line of an installed copy as if no extra were installed."""
    return run(
        *(sys.executable, "-W", "ignore", "-c", WITHOUT_EXTRAS.format(blocked=ONLY_WITH_EXTRAS)),
        *arguments,
        folder=folder,
        PYTHONPATH=str(site),
        NAPARI_XMAG_HOME=str(folder / "home"),
    )


def test_the_wheel_alone_analyzes_a_slide(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    site, slide = tmp_path / "site", write_pyramid(tmp_path / "a.tiff", draw_section(3000, 2000))
    install(wheel, site)
    out = tmp_path / "out"
    without_extras(site, tmp_path, "analyze", str(slide), "--out", str(out), "--device", "cpu")
    names = {file.name for file in (out / "a").iterdir()}
    assert {"result.json", "tiles.csv", "overlay.png", "heatmap.ome.tif"} <= names
    result = json.loads((out / "a" / "result.json").read_text(encoding="utf-8"))
    assert result["predicted"] in result["classes"]
    said = without_extras(site, tmp_path, "doctor")
    assert 'pip install "napari-xmag[all]"' in said
    assert 'pip install "napari-xmag[cluster]"' in said


def test_napari_and_qt_come_with_extras_only(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with ZipFile(wheel) as archive:
        (name,) = [item for item in archive.namelist() if item.endswith(".dist-info/METADATA")]
        text = archive.read(name).decode()
    lines = [line.partition(": ") for line in text.splitlines()]
    needed = [Requirement(value) for field, _, value in lines if field == "Requires-Dist"]
    plain = {item.name.lower() for item in needed if "extra" not in str(item.marker)}
    assert {"torch", "magicgui", "qtpy", "superqt"} <= plain
    assert not plain & {"napari", "pyside6", "pyqt6", "pyqt5", "npe2", "vispy", "distributed"}


def names_of(requirements: list[str]) -> set[str]:
    """Return the packages that are required, those of the project's own extras included."""
    found = set()
    for item in map(Requirement, requirements):
        if item.name == PROJECT["name"]:
            for extra in item.extras:
                found |= names_of(PROJECT["optional-dependencies"][extra])
        else:
            found.add(canonicalize_name(item.name))
    return found


BASE = names_of(PROJECT["dependencies"])
EXTRAS = {name: names_of(items) for name, items in PROJECT["optional-dependencies"].items()}
# Needed, though nothing imports them.
UNSEEN = {"onnxscript", "openslide-bin", "pyside6"}
# Brought by a package that is declared: of its own interface, or only where it has it.
BROUGHT = {"annotated-types": "pydantic", "pint": "napari", "triton": "torch"}


@cache
def known_packages() -> Mapping[str, list[str]]:
    """Return the packages that bring each module; slow, for all that are installed are read."""
    return packages_distributions()


def packages(path: Path) -> set[str]:
    """Return the packages that a file imports, types alone excepted."""
    known = known_packages()
    modules = {name.partition(".")[0] for name in imported_by(path)}
    foreign = modules - sys.stdlib_module_names - {"napari_xmag"}
    return {canonicalize_name(package) for name in foreign for package in known.get(name, [name])}


def imported_from_extras(path: Path) -> Iterator[tuple[str, str]]:
    """Yield package and extra of what a file imports by `import_extra`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_extra":
            module, extra, *_ = [ast.literal_eval(argument) for argument in node.args]
            yield canonicalize_name(module.partition(".")[0]), extra


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_import_is_declared(path: Path) -> None:
    in_window = "_gui" in path.relative_to(PACKAGE).parts
    declared = BASE | EXTRAS["window"] if in_window else BASE
    missing = packages(path) - declared
    assert missing <= BROUGHT.keys()
    for package in missing:
        parts = [Requirement(item).name for item in requires(BROUGHT[package]) or []]
        assert package in map(canonicalize_name, parts)
    for package, extra in imported_from_extras(path):
        assert package in EXTRAS[extra]


def test_every_declared_package_is_imported() -> None:
    used = set().union(*map(packages, MODULES))
    used |= {package for path in MODULES for package, _ in imported_from_extras(path)}
    assert BASE.union(*EXTRAS.values()) - used == UNSEEN


def test_npe2_accepts_the_plugin() -> None:
    assert "valid" in run(sys.executable, "-m", "npe2", "validate", "napari-xmag").lower()
    run(sys.executable, "-m", "npe2", "validate", str(ROOT / "napari.yaml"))


def test_the_manifest_at_the_top_is_a_relative_link() -> None:
    link = ROOT / "napari.yaml"
    assert link.is_symlink()
    assert link.readlink() == Path("napari_xmag/napari.yaml")


def test_the_wheel_holds_models_and_types_but_no_tests(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(ZipFile(wheel).namelist())
    assert "napari_xmag/py.typed" in names
    assert "napari_xmag/napari.yaml" in names
    assert "napari_xmag/qupath/scripts/Analyze_slide.groovy" in names
    for model in MODELS:
        assert f"napari_xmag/models/{model}/config.json" in names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_sdist_holds_what_a_packager_needs(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "Makefile", "napari.yaml", "tests/test_packaging.py"} <= names


def test_archives_are_small_enough_to_fetch(built: Path) -> None:
    assert all(archive.stat().st_size < 60e6 for archive in built.iterdir())
