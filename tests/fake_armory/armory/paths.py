import os
from pathlib import Path

NO_DOCKER = True


class HostPaths:
    def __init__(self):
        folder = Path(os.environ["FAKE_ARMORY"])
        self.output_dir, self.tmp_dir, self.saved_model_dir, self.dataset_dir = (
            str(folder / name) for name in ("outputs", "tmp", "models", "datasets")
        )
        self.armory_config = str(folder / "config.json")


runtime_paths = DockerPaths = HostDefaultPaths = HostPaths
