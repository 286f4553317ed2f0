"""Lets tests import the recipes of the documents."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "docs" / "recipes"))
