"""Whether this machine is ready and configs are right, before a run finds out: one finding per line, with its mend."""

from armory_skelevision.evaluation.check.findings import Finding, format_findings, to_json
from armory_skelevision.evaluation.check.run import check_all, check_config

__all__ = ["Finding", "check_all", "check_config", "format_findings", "to_json"]
