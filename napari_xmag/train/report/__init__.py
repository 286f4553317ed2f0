"""What a training says at the end."""
