"""What the tables of the guides come from: run as `python -m experiments.NAME`."""
