"""Whole slides: opened, read, searched for tissue, cut into tiles."""
