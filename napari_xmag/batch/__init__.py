"""Many slides: from files to results, one after another, side by side or on a cluster."""
