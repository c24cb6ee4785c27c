from pathlib import Path

import pytest
from handmade_results import make_config, make_results, write_result

from armory_skelevision.results.records import with_checkpoints
from armory_skelevision.results.result_file import read_run


def test_checkpoints_are_runs_of_fewer_steps(tmp_path: Path) -> None:
    results = make_results(
        (0.8, 0.6), (0.1, 0.3), adversarial_checkpoints=[{"5": 0.6, "10": 0.1}, {"5": 0.4, "10": 0.3}]
    )
    config = make_config(attack__kwargs__max_iter=10, attack__kwargs__checkpoints=[5, 10])
    run = read_run(write_result(tmp_path / "r.json", results, config))
    whole, after = with_checkpoints(run)
    assert whole is run
    assert after.adversarial.mean_iou == pytest.approx(0.5)
    assert after.benign.mean_iou == pytest.approx(0.7)
    assert after.config["attack"]["kwargs"]["max_iter"] == 5
    assert run.config["attack"]["kwargs"]["max_iter"] == 10
