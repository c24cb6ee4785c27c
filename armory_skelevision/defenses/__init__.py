"""Defenses of trackers: the classes that ARMORY's ``defense`` block can name."""

from armory_skelevision.defenses.dualossdef import DuaLossDef
from armory_skelevision.defenses.template_adaptation import TemplateAdaptation

__all__ = ["DuaLossDef", "TemplateAdaptation"]
