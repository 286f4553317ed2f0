"""TIFF and its relatives: what a file states, which pages are slides, and how they are read."""
