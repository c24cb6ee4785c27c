"""Training pairs, composed on the fly from a store of rendered people and scenes."""
