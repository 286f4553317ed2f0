"""Multiple instance learning: an attention head on the features of whole slides."""
