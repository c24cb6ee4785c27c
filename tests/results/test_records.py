from pathlib import Path

import pytest
from handmade_results import METRIC, make_config, make_results, write_cell, write_result, write_sweep

from armory_skelevision.results.cells import with_checkpoints
from armory_skelevision.results.finding import collect, elapsed_seconds
from armory_skelevision.results.records import read_run


def test_reads_a_run_of_another_tracker(tmp_path: Path) -> None:
    # as ARMORY's own GOTURN config writes it: no metric of ours, no mean where "means" is off, a list for each batch
    results = {f"benign_{METRIC}": [[0.5], [0.9]], f"adversarial_{METRIC}": [0.1, 0.3], "compute": {}}
    config = {"model": {"name": "get_tracker", "module": "armory.baseline_models.pytorch.carla_goturn"}}
    run = read_run(write_result(tmp_path / "r.json", results, config))
    assert run.benign.video_ious == (0.5, 0.9)
    assert run.benign.mean_iou == pytest.approx(0.7)
    assert run.adversarial.mean_iou == pytest.approx(0.2)
    assert run.config == config
    assert (run.armory_version, run.timestamp, run.checkpoints) == ("0.19.2", 1795270699, {})


def test_reads_our_metrics_by_short_and_by_dotted_name(tmp_path: Path) -> None:
    results = make_results(
        (0.5,),
        (0.25, 0.35),
        benign_mean_success_auc=[0.6],
        **{"adversarial_mean_armory_skelevision.metrics.success_auc": [0.4]},
        adversarial_success_auc=[[0.3], [0.5]],
        adversarial_frame_iou=[[[1.0, 0.5]], [[1.0, 0.25, 0.0]]],
        adversarial_mean_frame_iou=[0.3],
        adversarial_checkpoints=[{"5": 0.6, "10": 0.2}, {"5": 0.4}],
    )
    run = read_run(write_result(tmp_path / "r.json", results))
    assert run.benign.means == {METRIC: 0.5, "success_auc": 0.6}
    assert run.adversarial.means == pytest.approx({METRIC: 0.3, "success_auc": 0.4})
    assert run.adversarial.videos["success_auc"] == (0.3, 0.5)
    assert run.adversarial.frame_ious == ((1.0, 0.5), (1.0, 0.25, 0.0))
    assert run.checkpoints == {5: (0.6, 0.4)}  # 10 steps were not recorded in both videos


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"results": {"benign_video_tracking_mean_iou": [[NaN]]}}', "damaged: benign_video_tracking_mean_iou"),
        ('{"results": {"benign_mean_video_tracking_mean_iou": ["high"]}}', "'high'"),
        ('{"results": {"benign_video_tracking_mean_iou": [0.5], "adversarial_checkpoints": [3]}}', "for each video"),
        ("[" * 100_000, "not JSON"),
        ('{"results": {"benign_mean_accuracy": [1]}}', "holds no video_tracking_mean_iou"),
    ],
)
def test_a_damaged_result_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint) as caught:
        read_run(path)
    assert str(path) in str(caught.value)


def test_collects_files_outputs_and_sweeps(tmp_path: Path) -> None:
    lone = write_result(tmp_path / "lone.json", make_results((0.5,)), make_config())
    outputs = tmp_path / "outputs"
    done = write_result(outputs / "a_2026" / "CarlaVideoTracking_1795270699.json", make_results((0.6,)), make_config())
    (done.parent / "armory-log.txt").write_text(
        "2026-11-21 19:57:29  5s INFO  armory:x:1 begins\n2026-11-21 21:59:33 1h2m9s METRIC armory:y:2 ends\n  more\n"
    )
    (done.parent / "saved_samples").mkdir()
    (done.parent / "notes_3.json").write_text("not a result")
    (outputs / "b_2026").mkdir()
    (outputs / "b_2026" / "armory-log.txt").write_text("2026-11-21 14:55:24 5m58s ERROR armory:x:1 out of memory\n")
    collection = collect([lone, outputs, write_sweep(tmp_path / "sweep")])
    assert collection.faults == ()
    assert [grid["title"] for grid in collection.grids.values()] == ["STL & <MTL>"]
    found = {cell.name: cell for cell in collection.cells}
    assert [cell.name for cell in collection.cells][:3] == ["lone", "a_2026", "b_2026"]
    assert found["a_2026"].seconds == 3729
    assert (found["b_2026"].state, found["b_2026"].seconds) == ("failed", 358)
    assert "out of memory" in found["b_2026"].log_end
    states = {name: cell.state for name, cell in found.items() if name[:3] in ("stl", "mtl")}
    assert states.pop("mtl-20-1") == "failed"
    assert states.pop("mtl-40-0") == "missing"
    assert set(states.values()) == {"finished"}
    assert len(states) == 7
    cell = found["stl-10-0"]
    assert (cell.seconds, cell.versions["torch"], cell.weights) == (12.5, "2.13.0", {"weights.safetensors": "ab" * 32})
    assert found["mtl-20-1"].log_end.splitlines() == ["ValueError: <script>alert(1)</script>", "it broke"]


def test_what_is_broken_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep")
    (sweep / "stl-10-0" / "result.json").write_text("{")
    (sweep / "stl-10-1" / "cell.json").write_text("[]")
    (tmp_path / "empty").mkdir()
    collection = collect([sweep, tmp_path / "empty"])
    first, second, third = collection.faults
    assert f"{sweep / 'stl-10-0' / 'result.json'} is not" in first
    assert f"{sweep / 'stl-10-1' / 'cell.json'} is not" in second
    assert third.startswith(f"{tmp_path / 'empty'}: no result")
    found = {cell.name: cell.state for cell in collection.cells}
    assert (found["stl-10-0"], found["stl-10-1"]) == ("failed", "finished")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        collect([tmp_path / "nowhere.json"])


def test_a_result_that_a_failed_cell_left_behind_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "grid.json").write_text("{}")
    write_cell(tmp_path / "cell", make_config(), make_results((0.5,), (0.1,)), "failed")
    (cell,) = collect([tmp_path]).cells
    assert (cell.state, cell.run) == ("failed", None)


def test_checkpoints_are_cells_of_fewer_steps(tmp_path: Path) -> None:
    results = make_results(
        (0.8, 0.6), (0.1, 0.3), adversarial_checkpoints=[{"5": 0.6, "10": 0.1}, {"5": 0.4, "10": 0.3}]
    )
    config = make_config(attack__kwargs__max_iter=10, attack__kwargs__checkpoints=[5, 10])
    (cell,) = collect([write_result(tmp_path / "r.json", results, config)]).cells
    whole, after = with_checkpoints(cell)
    assert whole is cell
    assert after.run is not None
    assert after.run.adversarial.mean_iou == pytest.approx(0.5)
    assert after.run.benign.mean_iou == pytest.approx(0.7)
    assert after.config["attack"]["kwargs"]["max_iter"] == 5
    assert cell.config["attack"]["kwargs"]["max_iter"] == 10


@pytest.mark.parametrize(
    ("text", "seconds"), [("", None), ("nothing\n", None), ("2026-11-21 14:55:24 1d60s X\n", 86460)]
)
def test_elapsed_seconds(tmp_path: Path, text: str, seconds: float | None) -> None:
    (tmp_path / "log").write_text(text)
    assert elapsed_seconds(tmp_path / "log") == seconds
    assert elapsed_seconds(tmp_path / "no log") is None
