"""What to start from."""
