"""Whole-slide analysis in napari with a compact student that works wholly at 5x."""

__version__ = "0.1.0"

NOTICE = "Research use only. Not for diagnosis."
"""Said by every export, picture and prediction."""
