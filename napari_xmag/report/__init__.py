"""Results as pages to read."""
