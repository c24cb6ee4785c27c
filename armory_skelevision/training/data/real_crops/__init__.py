"""Crops of real people, cut once and stored, and training pairs drawn from them."""
