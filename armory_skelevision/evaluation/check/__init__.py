"""Checks before a run: whether this machine is ready and configs are right. One finding per problem, with its fix.

There is a function for each section of a config. All of them take a config that fits ARMORY's schema.
"""

from armory_skelevision.evaluation.check.findings import Finding, format_findings, has_errors, stops, to_json
from armory_skelevision.evaluation.check.run import check_all, check_config

__all__ = ["Finding", "check_all", "check_config", "format_findings", "has_errors", "stops", "to_json"]
