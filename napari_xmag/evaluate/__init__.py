"""How good an encoder is and how fast: patch tasks, slide tasks, and the clock."""
