"""What a grid file means, what is refused in one, and the grids that come with the repository."""

import json
from pathlib import Path

import pytest

from armory_skelevision.evaluation.configs import build_config, format_config
from armory_skelevision.sweeps import grid as grids
from armory_skelevision.sweeps.grid import read_grid
from armory_skelevision.validation import InvalidValueError

ROOT = Path(__file__).parent.parent.parent
GRIDS = sorted((ROOT / "sweep_configs").glob("*.json"))
COUNTS = {"benign": 6, "keypoints": 24, "losses": 2, "transfer": 4, "walkers": 20}
COUNTS |= {"table1_carla": 12, "table2_otb": 12, "table3_ablation": 9}
DELTA = "attack.kwargs.step_size"


@pytest.fixture
def write(tmp_path: Path):
    (tmp_path / "mtl.json").write_text(format_config(build_config("walkers", "mtl")))
    (tmp_path / "stl.json").write_text(format_config(build_config("walkers", "stl")))

    def write_grid(**grid):
        path = tmp_path / "grid.json"
        path.write_text(json.dumps({"base": "mtl.json", "axes": {}, **grid}))
        return path

    return write_grid


def test_runs_are_all_combinations_less_the_excluded(write):
    model = {"one": {"model.name": "siamrpn_stl", "model.weights_file": "a.safetensors"}, "the other": {}}
    axes = {"model": model, DELTA: [0.1, 0.2], "attack.kwargs.eot": [None, {"blur": 1}]}
    runs = read_grid(write(axes=axes, set={"dataset.max_frames": 9}, exclude=[{"model": "one", DELTA: 0.2}]))
    assert [run.name for run in runs] == [
        "one-0.1-null",
        "one-0.1-blur_1",
        *(f"the_other-{delta}-{eot}" for delta in (0.1, 0.2) for eot in ("null", "blur_1")),
    ]
    first, last = runs[0], runs[-1]
    assert first.labels == {"model": "one", DELTA: 0.1, "attack.kwargs.eot": None}
    assert first.values == {**model["one"], DELTA: 0.1, "attack.kwargs.eot": None}
    assert first.config["model"]["name"] == "siamrpn_stl" and first.config["dataset"]["max_frames"] == 9
    assert last.config["model"] == build_config("walkers", "mtl")["model"]
    assert last.config["attack"]["kwargs"]["eot"] == {"blur": 1} and last.config["attack"]["kwargs"][DELTA[-9:]] == 0.2
    assert last.config["_description"] == (
        build_config("walkers", "mtl")["_description"]
        + '; model: the other; attack.kwargs.step_size: 0.2; attack.kwargs.eot: {"blur": 1}'
    )


def test_bases_can_be_an_axis_and_defenses_too(write):
    jpeg = build_config("walkers", "mtl", "patch", "jpeg")["defense"]
    runs = read_grid(write(base=None, axes={"base": ["stl.json", "mtl.json"], "defense": [None, jpeg]}))
    assert [run.config["model"]["name"] for run in runs] == ["siamrpn_stl"] * 2 + ["siamrpn_mtl"] * 2
    assert [run.config["defense"] for run in runs] == [None, jpeg] * 2
    assert len({run.name for run in runs}) == 4


def test_hash_follows_what_is_run(write):
    def hashes(**grid):
        return {run.hash for run in read_grid(write(**grid))}

    one = hashes(axes={DELTA: [0.1]})
    assert one == hashes(axes={"renamed": {"x": {DELTA: 0.1}}})
    assert one != hashes(axes={DELTA: [0.2]})
    assert one != hashes(axes={DELTA: [0.1]}, options=["--skip-benign"])


def test_runs_are_named_by_their_labels(write, monkeypatch):
    monkeypatch.setattr(grids, "MAX_NAME", 40)
    labels = ["MTL", "Xa", "z" * 50, "y"]
    axes = {"x": {label: {"attack.kwargs.seed": number} for number, label in enumerate(labels)}}
    assert [run.name for run in read_grid(write(axes=axes))] == ["MTL", "Xa", "z" * 40, "y"]
    assert [run.name for run in read_grid(write())] == ["run"]
    monkeypatch.setattr(grids, "MAX_NAME", 2)
    names = [run.name for run in read_grid(write(axes=axes))]
    assert names[1::2] == ["Xa", "y"]
    assert [(name[:3], len(name)) for name in names[::2]] == [("MT-", 11), ("zz-", 11)]
    (run,) = read_grid(write(axes={"attack.kwargs.eot": [{"é": 1}]}))
    assert run.config["_description"].endswith('; attack.kwargs.eot: {"é": 1}')


def test_equal_names_are_told_apart(write):
    runs = read_grid(write(axes={"attack.kwargs.export": ["a/x.y", "b/x.y"]}))
    assert len({run.name for run in runs}) == 2 and all(run.name.startswith("x-") for run in runs)


@pytest.mark.parametrize(
    ("grid", "key", "got"),
    [
        ({"axis": {}}, "axis", "an unknown one"),
        ({"axes": []}, "axes", "()"),
        ({"axes": {DELTA: 0.1}}, f"axes.{DELTA}", "0.1"),
        ({"axes": {DELTA: []}}, f"axes.{DELTA}", "[]"),
        ({"axes": {"model": {"MTL": "siamrpn_mtl"}}}, "axes.model", "{'MTL': 'siamrpn_mtl'}"),
        ({"axes": {DELTA: [0.1, 0.1]}}, f"axes.{DELTA}", "0.1 twice"),
        ({"axes": {"model.weight_file": ["a"]}}, "model.weight_file", "no 'weight_file' there"),
        ({"axes": {"attack.max_iter": [1]}}, "attack.max_iter", "no 'max_iter' there"),
        ({"axes": {"atack.kwargs.seed": [1]}}, "atack.kwargs.seed", "no object 'atack' there"),
        ({"axes": {"defense.kwargs.seed": [1]}}, "defense.kwargs.seed", "no object 'defense' there"),
        ({"axes": {"sysconfig.use_gpu": ["yes"]}}, "yes: sysconfig.use_gpu", "expected type boolean, got 'yes'"),
        ({"base": 3}, "base", "3"),
        ({"base": None}, "base", "None"),
        ({"exclude": [{"seed": 1}]}, "exclude", "{'seed': 1}"),
        ({"axes": {DELTA: [0.1]}, "exclude": [{DELTA: 0.1}]}, "axes", "none"),
        ({"axes": {DELTA: [0.1]}, "exclude": [{DELTA: 0.3}]}, "exclude", '{"attack.kwargs.step_size": 0.3}'),
        ({"axes": {DELTA: [0.1, 0.2]}, "exclude": [{DELTA: 0.3}, {DELTA: 0.1}]}, "exclude", f'{{"{DELTA}": 0.3}}'),
        ({"axes": {"x": {"a": {DELTA: 0.1}, "b": {DELTA: 0.1}}}}, "axes", "a and b alike"),
        ({"options": ["--check", 1]}, "options", "('--check', 1)"),
        ({"options": ["check"]}, "options", "'check'"),
    ],
)
def test_what_cannot_be_right_is_refused(write, grid, key, got):
    path = write(**grid)
    with pytest.raises(InvalidValueError) as refused:
        read_grid(path)
    assert (refused.value.key, refused.value.got) == (f"{path}: {key}", got)


def test_files_that_are_no_grids_are_refused(tmp_path, write):
    path = tmp_path / "grid.json"
    for missing in (tmp_path / "none.json", write(base="none.json")):
        with pytest.raises(FileNotFoundError, match=r"none\.json"):
            read_grid(missing)
    for text, key, expected in (
        ("{", path, "JSON"),
        ("[]", path, "a JSON object"),
        ("{}", f"{path}: axes", "a value"),
    ):
        path.write_text(text)
        with pytest.raises(InvalidValueError) as refused:
            read_grid(path)
        assert (refused.value.key, refused.value.expected) == (str(key), expected)


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_grids_of_the_repository(path):
    from doubles import random_estimator

    from armory_skelevision import attacks as ours

    runs = read_grid(path)
    assert len(runs) == COUNTS[path.stem]
    attacks = [run.config["attack"]["kwargs"] for run in runs]
    tracker = random_estimator(keypoint_head="shallow")
    for run in runs:
        attack = run.config["attack"]
        getattr(ours, attack["name"])(tracker, **attack["kwargs"])
    if path.stem in ("keypoints", "transfer"):
        return
    if path.stem == "benign":
        assert all(run.options == ("--skip-attack",) for run in runs)
        return
    assert all(kwargs["checkpoints"][-1] == kwargs["max_iter"] for kwargs in attacks)
    if not path.stem.startswith("table"):  # those of the paper
        return
    published = json.loads(path.read_text())["published"]
    assert {(kwargs["update"], kwargs["keep"]) for kwargs in attacks} == {("accumulated_sign", "last")}
    assert [row["where"] for row in published["cells"]] != []
    by_place = {json.dumps(row["where"], sort_keys=True): row for row in published["cells"]}
    assert set(by_place) == {json.dumps(run.labels, sort_keys=True) for run in runs}
    for row in published["cells"]:
        assert list(map(int, row["adversarial"])) == runs[0].config["attack"]["kwargs"]["checkpoints"]


def test_the_guides_example_is_a_grid(tmp_path):
    blocks = (ROOT / "docs" / "sweeps.md").read_text().split("```json\n")[1:]
    example = next(block.split("```")[0] for block in blocks if '"axes"' in block)
    grid = json.loads(example) | {"base": str(ROOT / "docs" / json.loads(example)["base"])}
    (tmp_path / "grid.json").write_text(json.dumps(grid))
    assert len(read_grid(tmp_path / "grid.json")) == 9


def test_published_numbers():
    def row(name, **where):
        rows = json.loads((ROOT / "sweep_configs" / f"{name}.json").read_text())["published"]["cells"]
        return next(row for row in rows if row["where"] == where)

    stl = row("table1_carla", model="STL", **{DELTA: 0.1})
    assert stl["benign"] == 69.45
    assert list(stl["adversarial"].values()) == [48.25, 40.7, 32.07, 26.57, 24.72, 21.47, 20.54]
    assert row("table1_carla", model="MTL 1.0", **{DELTA: 0.2})["adversarial"]["1000"] == 18.97
    assert row("table2_otb", model="MTL 0.2", **{DELTA: 0.2})["adversarial"]["200"] == 51.05
    deep = row("table3_ablation", model="MTL 1.0, deep")
    assert (deep["benign"], deep["adversarial"]["10"]) == (67.28, 55.46)
