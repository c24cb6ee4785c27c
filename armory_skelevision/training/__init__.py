"""Training of the networks. Light to import: Lightning is imported only where something is trained."""
