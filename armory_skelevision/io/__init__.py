"""Files in and out: written whole or not at all, hashed, read as strict JSON; and published files off the network."""

from armory_skelevision.io.files import atomic_write, hash_file
from armory_skelevision.io.strict_json import parse_json

__all__ = ["atomic_write", "hash_file", "parse_json"]
