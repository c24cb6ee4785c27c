"""Files: bounded reading, strict JSON, atomic writes, hashes, locks, progress, archives, and downloads."""

from armory_skelevision.io.files import atomic_write, hash_file, refuse_existing
from armory_skelevision.io.locking import locked
from armory_skelevision.io.progress import progress
from armory_skelevision.io.reading import (
    check_depth,
    leads_out,
    list_folder,
    message,
    open_regular,
    parse_json,
    printable,
    read_bytes,
    read_json,
    read_object,
    read_tail,
    read_text,
)

__all__ = [
    "atomic_write",
    "check_depth",
    "hash_file",
    "leads_out",
    "list_folder",
    "locked",
    "message",
    "open_regular",
    "parse_json",
    "printable",
    "progress",
    "read_bytes",
    "read_json",
    "read_object",
    "read_tail",
    "read_text",
    "refuse_existing",
]
