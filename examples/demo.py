"""Track the people of the packaged videos, attack the tracker with a patch, and say how well it held."""

from pathlib import Path

from armory_skelevision.evaluation.runner import run_config
from armory_skelevision.results.result_file import read_run

CONFIG = Path(__file__).parent.parent / "scenario_configs" / "walkers_mtl_patch.json"

if __name__ == "__main__":
    result = run_config(CONFIG)
    print(f"{read_run(result)}  results {result}")
