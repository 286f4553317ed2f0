"""What people install: an editable checkout, a wheel, an sdist."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent
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
    assert found["version"] == "0.1.0"
    assert found["readers"] == 1
    assert found["samples"] == 2
    assert found["models"] == MODELS


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
