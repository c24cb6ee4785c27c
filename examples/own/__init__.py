"""A tracker, an attack and a defense of one's own; docs/own.md tells of them."""
