"""A minimal tracker, attack and defense; docs/extending.md explains them."""
