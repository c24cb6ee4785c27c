"""Submissions: a config and its weights as one file; verified, then evaluated and ranked."""
