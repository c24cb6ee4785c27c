import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from armory_skelevision.evaluation.armory_hooks import (
    log_scores_only,
    prepare_run,
    provide_ffmpeg,
    record_names,
    record_sizes,
)
from armory_skelevision.evaluation.table import TASKS, VIDEO_NAMES, VIDEO_SIZES


@pytest.fixture(autouse=True)
def _bare_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")


def test_ffmpeg_can_be_called_by_its_name(tmp_path: Path) -> None:
    link = provide_ffmpeg(tmp_path / "a b")
    assert os.environ["PATH"] == f"{link.parent}{os.pathsep}/nowhere"
    run = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("ffmpeg version")


def test_ffmpeg_twice_is_the_same_link(tmp_path: Path) -> None:
    assert provide_ffmpeg(tmp_path) == provide_ffmpeg(tmp_path)


def test_prepare_run_uses_armorys_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from armory import paths

    class Folders:
        saved_model_dir = str(tmp_path / "saved_models")
        tmp_dir = str(tmp_path / "tmp")

    monkeypatch.setattr(paths, "runtime_paths", Folders)
    monkeypatch.delitem(sys.modules, "armory.instrument", raising=False)  # no evaluation runs here
    prepare_run()
    assert Path(os.environ["PATH"].split(os.pathsep)[0], "ffmpeg").is_relative_to(tmp_path / "tmp")
    assert (tmp_path / "saved_models").is_dir()


def test_prepare_run_leaves_the_users_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from armory import paths

    own = tmp_path / "bin" / "ffmpeg"
    own.parent.mkdir()
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(own.parent))

    class Folders:
        saved_model_dir = str(tmp_path / "saved_models")
        tmp_dir = str(tmp_path / "tmp")

    monkeypatch.setattr(paths, "runtime_paths", Folders)
    monkeypatch.delitem(sys.modules, "armory.instrument", raising=False)  # no evaluation runs here
    prepare_run()
    assert os.environ["PATH"] == str(own.parent)
    assert not (tmp_path / "tmp").exists()


def test_names_of_videos_are_recorded_where_data_sets_have_them() -> None:
    from armory import instrument

    instrument.del_globals()
    try:
        record_names()
        hub, probe = instrument.get_hub(), instrument.get_probe("scenario")
        writer = instrument.ResultsWriter()
        hub.connect_writer(writer, default=True)
        for batch, metadata in enumerate([{"name": "Crossing"}, {"name": "Human7", "masks": 1}, {}, None]):
            hub.set_context(stage="next", batch=batch)
            probe.update(y_patch_metadata=metadata)
        hub.close()
        assert writer.get_output() == {VIDEO_NAMES: ["Crossing", "Human7"]}
    finally:
        instrument.del_globals()


def test_sizes_of_videos_are_recorded() -> None:
    from armory import instrument

    instrument.del_globals()
    try:
        record_sizes()
        hub, probe = instrument.get_hub(), instrument.get_probe("scenario")
        writer = instrument.ResultsWriter()
        hub.connect_writer(writer, default=True)
        for batch, shape in enumerate([(1, 2, 48, 64, 3), (1, 3, 10, 20, 3), (1, 10, 20, 3)]):
            hub.set_context(stage="next", batch=batch)
            probe.update(x=np.zeros(shape, np.float32))
        hub.close()
        assert writer.get_output() == {VIDEO_SIZES: [[64, 48], [20, 10]]}  # an image has no frames
    finally:
        instrument.del_globals()


def test_values_per_frame_are_recorded_but_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    from armory import instrument
    from armory.instrument.config import MetricsLogger

    printed: list[str] = []
    module = sys.modules["armory.instrument.instrument"]
    log = SimpleNamespace(log=lambda level, text: printed.append(text.split()[0]), warning=print)
    monkeypatch.setattr(module, "log", log)
    writer = instrument.ResultsLogWriter
    monkeypatch.setattr(writer, "_write", writer._write)  # restored at the end
    boxes = [{"boxes": np.array([[0, 0, 9, 9], [1, 0, 10, 9]], np.float32)}]
    instrument.del_globals()
    try:
        log_scores_only()
        task = [name for name in TASKS["boxes"].metrics if not name.endswith(("_20px", "_precision"))]
        logger = MetricsLogger(task=task, record_metric_per_sample=True)
        hub, probe = instrument.get_hub(), instrument.get_probe("scenario")
        hub.set_context(stage="next", batch=0)
        probe.update(y=boxes, y_pred=boxes, y_pred_adv=boxes)
        hub.close()
        recorded = logger.results()
    finally:
        instrument.del_globals()
    scores = ["video_tracking_mean_iou", "success_auc"]
    values = [f"{side}_{name}" for side in ("benign", "adversarial") for name in scores]
    means = [f"{side}_mean_{name}" for side in ("benign", "adversarial") for name in scores]
    assert printed == values + means
    assert recorded["benign_frame_iou"] == [[[1.0, 1.0]]] and recorded["adversarial_annotated_frames"] == [2]
    assert recorded["benign_true_boxes"][0][0][1] == [1, 0, 10, 9]
