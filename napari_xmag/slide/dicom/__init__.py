"""DICOM whole slides: their files, which of them belong together, and how they are read."""
