"""Keys in the settings of a result that several parts of the program read."""

REQUESTED = "requested"
"""What was asked for, which another run can compare."""

ENTRY = "entry"
"""Within it: which image of QuPath the result is of; missing for a plain slide."""
