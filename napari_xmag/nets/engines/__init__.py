"""What runs a network: PyTorch, or a graph of it."""
