"""Training of the networks. Light to import; Lightning is only needed where something is trained."""
