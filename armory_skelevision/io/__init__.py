"""Files: atomic writes, hashes, strict JSON, archives, and downloads of published files."""

from armory_skelevision.io.files import atomic_write, hash_file, parse_json

__all__ = ["atomic_write", "hash_file", "parse_json"]
