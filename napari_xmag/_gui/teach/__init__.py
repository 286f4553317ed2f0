"""Plugins > XMAG > Teach: a classifier of patches that learns from clicks."""
