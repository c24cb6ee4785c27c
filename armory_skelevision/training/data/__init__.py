"""Training pairs: cut from real data (`crops`), composed of rendered people (`pairs`), and served in batches."""
