"""Patch features of slides, encoded once and kept on disk; needs no torch."""
