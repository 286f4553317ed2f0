"""Many things at once: in processes of this machine, or on a cluster."""
