"""Tissue fields for distillation: stored, shown, paired with teacher features."""
