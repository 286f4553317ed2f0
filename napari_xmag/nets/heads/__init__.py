"""Heads: how the features of all patches of a slide become its answer, and its map."""
