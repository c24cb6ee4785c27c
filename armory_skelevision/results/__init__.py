"""Running evaluations and reading what came out."""
