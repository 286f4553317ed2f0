"""Tables of labelled slides: read, checked, divided."""
