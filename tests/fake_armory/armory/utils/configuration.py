from pathlib import Path

DEFAULT_SCHEMA = Path(__file__).with_name("any_config.json")
"""The tests' own process checks by the real one."""
