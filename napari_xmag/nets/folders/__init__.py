"""Slide models on disk: what a folder states, whether that is so, and the networks in it."""
