"""Defenses of trackers, as ARMORY's ``defense`` block names them."""

from armory_skelevision.defenses.dualossdef import DuaLossDef

__all__ = ["DuaLossDef"]
