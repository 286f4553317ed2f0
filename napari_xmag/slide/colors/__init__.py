"""Colours of slides: what is stored, what it is said to be, and in which light it was taken."""
