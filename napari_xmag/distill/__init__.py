"""Distilling a 5x student from a 20x teacher."""
