"""A training whose steps take no time, of a network of four numbers on a store of six crops."""

from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from armory_skelevision.training.body import TrainingBody
from armory_skelevision.training.data.real_crops.cropping import Crop
from armory_skelevision.training.data.real_crops.store import write_part
from armory_skelevision.training.settings import MultitaskSettings


class TinyTraining(TrainingBody):
    """Learns the height of the target from the mean colours of the search crop."""

    validated = ("mean_iou",)

    def __init__(self, settings: MultitaskSettings, monitor: str | None = "mean_iou") -> None:
        super().__init__(settings)
        self.monitor = monitor
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.network = torch.nn.Linear(3, 1)

    def _error(self, batch):
        guess = self.network(batch.search.float().mean(dim=(1, 2)) / 255)[:, 0]
        height = (batch.box_xyxy[:, 3] - batch.box_xyxy[:, 1]) / 100
        return (guess - height).square().mean()

    def loss(self, batch):
        error = self._error(batch)
        if self.global_step % 2:
            self.log("error", error, prog_bar=True)  # as the losses of a backdoor, which take turns
        return error

    def validation_step(self, batch, _):
        # rises and falls, so that the best weights are neither the first nor the last
        wave = torch.cos(torch.tensor(2.0 * self.global_step)) / (1 + self._error(batch))
        self.log("mean_iou", wave, batch_size=len(batch.search))

    def export(self, logged):
        path = Path(self.settings.folder) / "weights.safetensors"
        save_file({name: tensor.clone() for name, tensor in self.state_dict().items()}, path, {"logged": str(logged)})
        return path


def make_crop_store(folder: Path, seed: int = 0) -> str:
    """A store of three people with two crops each, in random colours."""
    rng = np.random.default_rng(seed)
    crops = []
    for number in range(6):
        small = rng.integers(0, 256, (8, 8, 3), np.uint8)
        jpeg = cv2.imencode(".jpg", cv2.resize(small, (511, 511), interpolation=cv2.INTER_LINEAR))[1].ravel()
        box = np.array([200, 150, 300, 350 + 5 * number], np.float32)
        keypoints = np.zeros((17, 3), np.float32)
        crops.append(Crop(jpeg, box, keypoints, number // 2, number % 2))
    folder.mkdir(parents=True)
    write_part(folder / "part.safetensors", crops, "tiny", "", "", [])
    return str(folder)


def tiny_settings(root: Path, kind: type = MultitaskSettings, **changes):
    """Settings of a run of seven steps, of which each second is validated and each is kept."""
    usual = {
        "store": root / "train",
        "validation_store": root / "val",
        "folder": str(root / "run"),
        "steps": 7,
        "batch_size": 1,
        "search_side": 191,
        "learning_rate": 0.05,
        "warmup_steps": 1,
        "workers": 0,
        "validation_pairs": 2,
        "validation_steps": 2,
        "checkpoint_minutes": 0,
        "seed": 3,
    }
    for seed, name in enumerate(("store", "validation_store")):
        usual[name] = make_crop_store(usual[name], seed) if not usual[name].exists() else str(usual[name])
    return kind(**usual | changes)
