"""Defenses of trackers, as ARMORY's ``defense`` block names them."""

from armory_skelevision.defenses.dualossdef import DuaLossDef
from armory_skelevision.defenses.template_adaptation import TemplateAdaptation

__all__ = ["DuaLossDef", "TemplateAdaptation"]
