"""Stands in for ARMORY in the processes of a sweep under test: first on their PYTHONPATH."""
