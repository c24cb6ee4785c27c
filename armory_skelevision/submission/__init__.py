"""Handing in: a config and its weights as one file, checked before anything of it is used, then ranked with others."""
