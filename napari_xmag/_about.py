"""What every part may say of the whole: its version, and the notice."""

__version__ = "0.1.0"

NOTICE = "Research use only. Not for diagnosis."
"""Said by every export, picture and prediction."""
