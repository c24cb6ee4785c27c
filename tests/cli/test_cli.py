import json
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
from people_data import make_coco, make_lasot

from armory_skelevision import __version__, cli
from armory_skelevision.evaluation import configs
from armory_skelevision.validation import InvalidTypeError

Run = Callable[..., tuple[int, str, str]]


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"skelevision {__version__}\n", "")


def test_help_names_the_commands(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    commands = ("check", "configs", "summary", "report", "compare", "sweep", "submit", "data", "train", "weights")
    for command in (*commands, "track", "export", "export-attacked"):
        assert f"\n  {command} " in out


@pytest.mark.parametrize(
    "arguments", [["configs", "--nonsense"], ["nonsense"], ["summary"], ["train", "multitask"], ["train", "dualossdef"]]
)
def test_wrong_usage_is_exit_code_2(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Usage: " in err


def test_configs_writes_and_checks(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    code, out, _ = run("configs", "--out", folder)
    assert code == 0
    assert out.splitlines() == [str(folder / name) for name in configs.render_configs()]
    assert run("configs", "--check", "--out", folder) == (0, "", "")
    (folder / "walkers_mtl_patch.json").write_text("{}")
    code, out, _ = run("configs", "--check", "--out", folder)
    assert code == 1
    assert "walkers_mtl_patch.json differs" in out
    assert (folder / "walkers_mtl_patch.json").read_text() == "{}"


def test_summary(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"results": {"benign_mean_video_tracking_mean_iou": [0.701]}}))
    assert run("summary", path) == (0, f"benign mIoU 0.70  adversarial mIoU skipped  results {path}\n", "")


def test_export_says_what_the_toolkit_should(run: Run, tmp_path: Path) -> None:
    boxes = [[[0, 0, 10, 10], [0, 0, 10, 5]]]
    results = {"benign_mean_video_tracking_mean_iou": [0.5], "benign_frame_boxes": boxes, "video_sizes": [[40, 30]]}
    path = tmp_path / "r.json"
    path.write_text(json.dumps({"results": {**results, "benign_true_boxes": [[[0, 0, 10, 10]] * 2]}}))
    out = tmp_path / "out"
    line = f"{out / 'mine'}: 1 sequence  AO 0.500000, SR 0.5 0.000000, SR 0.75 0.000000\n"
    assert run("export", path, "--format", "got10k", "--out", out, "--tracker", "mine") == (0, line, "")
    code, printed, err = run("export", path, "--format", "got10k", "--out", out, "--tracker", "mine")
    assert (code, printed) == (1, "")
    assert err.startswith(f"error: {out / 'mine'}: ")
    assert run("export", path, "--format", "davis", "--out", out)[0] == 2
    code, printed, err = run("export-attacked", path, "--layout", "otb", "--out", tmp_path / "data")
    assert (code, printed) == (1, "")
    assert "true_boxes" in err


def test_errors_are_one_line(run: Run, tmp_path: Path) -> None:
    assert run("summary", tmp_path / "no.json") == (
        1,
        "",
        f"error: {tmp_path / 'no.json'}: expected a result file or a folder, got nothing\n",
    )
    (tmp_path / "bad.json").write_text("nonsense")
    code, out, err = run("summary", tmp_path / "bad.json")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("path", ["a" * 300, "a/" * 5000])
def test_errors_about_long_paths_are_short(run: Run, path: str) -> None:
    for command in (["summary"], ["check"], ["weights", "verify"], ["train", "multitask"], ["submit", "verify"]):
        code, out, err = run(*command, path)
        assert code == 1
        assert all(0 < len(line) < 4100 for line in (out + err).splitlines()), command


def test_values_of_another_type_are_one_line_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> None:
        raise InvalidTypeError("tracker", "an ART estimator", "a list")

    monkeypatch.setattr("armory_skelevision.claims.claim.read_claims", refuse)
    code, _, err = run("claims")
    assert code == 1 and err == "error: tracker: expected an ART estimator, got a list\n"


def test_traceback_on_demand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cli.DEBUG, "1")
    with pytest.raises(FileNotFoundError):
        cli.app(["summary", str(tmp_path / "no.json")])


@pytest.mark.parametrize(
    ("arguments", "package", "fix"),
    [
        (["data", "walkers", "--out", "new", "--seed", "9"], "skelevision_town", "make town-env"),
        (["sweep", "grid.json", "--out", "out", "--engine", "ray"], "ray", 'pip install "armory_skelevision[cluster]"'),
        (["sweep", "grid.json", "--out", "out", "--mlflow"], "mlflow", 'pip install "armory_skelevision[mlflow]"'),
        (["train", "multitask", "settings.json"], "lightning", 'pip install "armory_skelevision[train]"'),
        (["train", "dualossdef", "settings.json"], "lightning", 'pip install "armory_skelevision[train]"'),
    ],
)
def test_missing_optional_packages_are_named(
    run: Run, arguments: list[str], package: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert f"needs {package}, which is not installed" in err
    assert fix in err
    assert list(tmp_path.iterdir()) == []


def test_data_walkers_asks_for_the_seeds_in_order(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr("armory_skelevision.cli.data.require", lambda *_: None)
    monkeypatch.setattr("skelevision_town.render.render_split", lambda *given: asked.append(given))
    folder = tmp_path / "more"
    code, out, _ = run("data", "walkers", "--out", folder, "--seed", 7, "--videos", 3, "--frames", 12)
    assert code == 0
    assert asked == [(folder, range(7, 10), 12)]
    assert f'"root": "{tmp_path}", "eval_split": "more"' in out


def test_train_multitask_reads_its_settings_first(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("lightning")
    path = tmp_path / "settings.json"
    path.write_text('{"stepz": 3}')
    code, out, err = run("train", "multitask", path)
    assert (code, out) == (1, "")
    assert f"{path}.stepz: " in err


def test_data_crops_makes_one_store_of_two_data_sets(run: Run, tmp_path: Path) -> None:
    make_coco(tmp_path, 3)
    make_lasot(tmp_path, frames=2, sequences=2)
    store = tmp_path / "store"
    coco = ("data", "crops", "coco", "--annotations", tmp_path / "people.json", "--images", tmp_path / "images")
    assert run(*coco, "--out", store) == (0, f"3 crops in {store}\n", "")
    lasot = ("data", "crops", "lasot", "--root", tmp_path, "--split", "train", "--out", store)
    code, out, err = run(*lasot)
    assert (code, out) == (1, "")
    assert "lasot-train: " in err and "18 that cannot be used" in err and err.count("\n") == 1
    told = f"4 crops in {store}\n18 left out, listed in {store}/lasot-train-problems.txt\n"
    assert run(*lasot, "--skip-invalid") == (0, told, "")
    assert len(list(store.glob("*.safetensors"))) == 3


def test_data_fetches_from_a_local_folder(run: Run, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "Crossing.zip", "w") as archive:
        archive.writestr("Crossing/groundtruth_rect.txt", "1,1,9,9")
    arguments = ("data", "otb", "--out", tmp_path / "otb", "--from", tmp_path, "Crossing")
    assert run(*arguments) == (0, f"{tmp_path / 'otb' / 'Crossing'}\n", "")
    for arguments, complaint in [
        (("data", "lasot", "--out", tmp_path / "lasot", "--from", tmp_path), f"{tmp_path / 'person.zip'}: expected"),
        (("data", "coco", "--out", tmp_path / "coco", "--from", tmp_path, "test"), "splits: expected some of train"),
    ]:
        code, out, err = run(*arguments)
        assert (code, out) == (1, "")
        assert complaint in err and err.count("\n") == 1
