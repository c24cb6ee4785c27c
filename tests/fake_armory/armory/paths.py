import os
from pathlib import Path


class HostPaths:
    def __init__(self):
        folder = Path(os.environ["FAKE_ARMORY"])
        self.output_dir, self.tmp_dir, self.saved_model_dir, self.dataset_dir = (
            str(folder / name) for name in ("outputs", "tmp", "models", "datasets")
        )


runtime_paths = HostPaths
