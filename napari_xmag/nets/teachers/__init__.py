"""Frozen 20x networks that a student learns from: the known ones, and how they are named."""
