"""Run the notebooks anew, and keep with them what they show: python docs/run_notebooks.py."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).parent / "notebooks"
SECONDS = 1200


def run(path: Path) -> None:
    """Run one notebook in a folder of its own, and write it with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    with TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(
            notebook, timeout=SECONDS, resources=resources, record_timing=False
        ).execute()
    # What differs from machine to machine would only make noise in the history.
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    # No progress bars are needed, nor a word about them.
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress"
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        run(path)
