"""Evaluations: which there are, what ARMORY calls during one, how one is run, and how configs are checked."""
