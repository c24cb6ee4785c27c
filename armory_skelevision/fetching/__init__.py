"""Weights and data sets of others, fetched from where they are published, from a mirror, or taken from a local file.

Plain ``requests`` does it. Pooch, the usual library for this, hands the download itself to ``requests`` too and deletes
what it has when a connection breaks: going on, telling web pages from files and remembering hashes would all have to be
written beside it.
"""

from armory_skelevision.fetching.obtain import obtain
from armory_skelevision.fetching.sources import Source

__all__ = ["Source", "obtain"]
