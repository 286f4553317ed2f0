"""What long work says of itself."""
