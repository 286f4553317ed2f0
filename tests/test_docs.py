"""What the documentation says is so: links, settings, imports, notebooks."""

import ast
import os
import re
import runpy
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.slides import draw_section, write_pyramid

ROOT = Path(__file__).resolve().parent.parent
CHECK = runpy.run_path(str(ROOT / ".ci" / "check_docs.py"))
PAGES = CHECK["pages"](ROOT)
NOTEBOOKS = ROOT / "docs" / "notebooks"


def names(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_lines_are_short_and_links_lead_somewhere(capsys: pytest.CaptureFixture[str]) -> None:
    status = CHECK["main"](ROOT)
    assert status == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("word " * 30, ["1: 150 characters, 120 at most"]),
        ("| a | " + "word " * 30 + "|", ["1: 157 characters, 120 at most"]),
        ("| " + "0.123 | " * 30, []),
        ("see [there](there.md), [here](page.md#top), [web](https://example.org)",
         ["1: the link to there.md leads nowhere"]),
        ("```\n[no link](in code)\n```", []),
    ],
)  # fmt: skip
def test_the_check_finds_what_it_should(tmp_path: Path, text: str, found: list[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    assert list(CHECK["problems"](page)) == found


def test_the_page_of_settings_is_that_of_the_settings() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_settings.py"))
    written = made["PAGE"].read_text(encoding="utf-8")
    assert made["page"]() == written, "run: python docs/make_settings.py"


def test_the_page_of_recipes_names_all_of_them() -> None:
    recipes = ROOT / "docs" / "recipes"
    page = (recipes / "README.md").read_text(encoding="utf-8")
    kinds = {".py", ".sh", ".toml", ".json", ".csv"}
    files = {path.name for path in recipes.iterdir() if path.suffix in kinds}
    assert set(re.findall(r"`([\w.]+)`", page)) == files


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_what_a_page_imports_is_there(page: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    for node in [node for block in blocks for node in ast.walk(ast.parse(block))]:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("napari_xmag"):
            module = import_module(node.module)
            assert not [alias.name for alias in node.names if not hasattr(module, alias.name)]


@pytest.mark.parametrize("page", PAGES, ids=names)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:napari_xmag|docs|tests|models|\.ci)/[\w./-]+\.\w+)`", text):
        assert (ROOT / path).exists(), path


def run_notebook(name: str, folder: Path, parameters: str) -> nbformat.NotebookNode:
    """Run a notebook whose cell of parameters is replaced."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    cell.source = parameters
    resources = {"metadata": {"path": str(folder)}}
    return NotebookClient(notebook, timeout=280, resources=resources).execute()


def said(notebook: nbformat.NotebookNode) -> str:
    """Return all text that the cells of a notebook put out."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output.get("text") or output.get("data", {}).get("text/plain") for output in outputs]
    return "\n".join(text for text in texts if text)


@pytest.fixture
def _quiet_kernel(monkeypatch: pytest.MonkeyPatch, graphs_of_children: None) -> None:
    """Let the kernel find the package under test, and say nothing of progress bars."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:IProgress")


@pytest.mark.usefixtures("_quiet_kernel")
def test_the_notebook_analyzes_a_slide(tmp_path: Path) -> None:
    slide = write_pyramid(tmp_path / "small.tiff", draw_section(3000, 2000))
    notebook = run_notebook("analyze", tmp_path, f"path = {str(slide)!r}")
    assert said(notebook).count("<SlideResult small.tiff: ") == 2
    assert (tmp_path / "results" / "tiles.geojson").exists()


@pytest.mark.usefixtures("_quiet_kernel")
def test_the_notebook_trains_a_model(tmp_path: Path) -> None:
    notebook = run_notebook("train", tmp_path, "SLIDES, EPOCHS = 6, 2")
    assert "<SlideResult crowded-01.tif: " in said(notebook)
    assert (tmp_path / "run" / "model" / "config.json").exists()


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_notebooks_are_kept_with_what_they_show(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in cells)
    assert any("image/png" in output.get("data", {}) for c in cells for output in c.outputs)
    text = said(notebook)
    assert "Traceback" not in text
    assert str(Path.home()) not in text
    assert "/tmp" not in text
