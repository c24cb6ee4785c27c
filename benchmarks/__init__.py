"""How fast and how large: run as `python -m benchmarks.NAME`."""
