"""Figures, intervals, folds and calibration."""
