"""Submissions evaluated on a suite: each in a process of its own, ranked, resumed after a stop."""

import json
import os
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import bundle, make_config, make_files

from armory_skelevision.evaluation.configs import build_config, format_config
from armory_skelevision.evaluation.process import Limits
from armory_skelevision.evaluation.runner import RunFailedError
from armory_skelevision.submission import evaluate as evaluating
from armory_skelevision.submission import run
from armory_skelevision.submission.evaluate import Participant, evaluate
from armory_skelevision.submission.manifest import Claim, Manifest
from armory_skelevision.submission.pack import pack
from armory_skelevision.submission.ranking import find_interval, format_table, rank, write_tables
from armory_skelevision.submission.run import VideoScores, check_scores, run_evaluation
from armory_skelevision.submission.suite import Suite, read_suite
from armory_skelevision.submission.verify import Terms, smoke_run, verify_bundle
from armory_skelevision.validation import InvalidValueError, StructuredError
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS

STEP = {**build_config("walkers", "mtl")["attack"], "kwargs": {"max_iter": 1, "verbose": False}}
DATA = {**build_config("walkers", "mtl")["dataset"], "max_frames": 5}
SUITE: dict[str, Any] = {"name": "small", "attacks": {"step": STEP, "again": STEP}, "dataset": DATA, "videos": 1}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with the packaged weights."""
    folder = tmp_path_factory.mktemp("packed")
    (folder / "config.json").write_text(format_config(build_config("walkers", "mtl")))
    pack(folder / "config.json", PACKAGED_WEIGHTS / "siamrpn_alex_mtl.safetensors", folder / "team.tar.gz", "team")
    return folder / "team.tar.gz"


def script(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(run, "COMMAND", ("-c", code))


LIMITS = Limits(minutes=1, memory_gb=4)
WRITE = """
import json, os, sys
os.makedirs("output_dir/run")
scores = {"benign_video_tracking_mean_iou": [[0.5]], "adversarial_video_tracking_mean_iou": [[0.25]]}
json.dump({"results": scores}, open("output_dir/run/a.json", "w"))
json.dump([dict(os.environ), sys.argv, open("saved_model_dir/w").read()], open(os.environ["SEEN"], "w"))
"""


def test_a_process_has_a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(monkeypatch, WRITE)
    monkeypatch.setenv("SEEN", str(tmp_path / "seen.json"))
    monkeypatch.setenv("ARMORY_GITHUB_TOKEN", "mine")
    (tmp_path / "weights").write_text("weights")
    (home := tmp_path / "home").mkdir()
    scores = run_evaluation(make_config(), {"w": tmp_path / "weights"}, home, LIMITS, videos=3)
    assert scores == VideoScores([0.5], [0.25])
    environment, arguments, weights = json.loads((tmp_path / "seen.json").read_text())
    assert (environment["HOME"], weights) == (str(home), "weights")
    assert environment["CUDA_VISIBLE_DEVICES"] == "-1"
    assert "ARMORY_GITHUB_TOKEN" not in environment
    assert arguments[1:] == ["config.json", "--no-docker", "--num-eval-batches", "3"]
    assert json.loads((home / "config.json").read_text())["eval_id"] == "run"
    folders = json.loads((home / ".armory" / "config.json").read_text())
    assert folders["output_dir"] == str(home / "output_dir")
    assert not folders["dataset_dir"].startswith(str(home))


def test_limits_of_time_end_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pulse = tmp_path / "pulse"
    beat = f"import time\nwhile True: open({str(pulse)!r}, 'a').write('x'); time.sleep(0.01)"
    script(monkeypatch, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {beat!r}])")
    (home := tmp_path / "home").mkdir()
    with pytest.raises(RunFailedError, match=r"^out of time: 0\.05 minutes$"):
        run_evaluation(make_config(), {}, home, LIMITS._replace(minutes=0.05))
    size = pulse.stat().st_size
    time.sleep(0.3)
    assert pulse.stat().st_size == size > 0


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("x = bytearray(3 * 10**9)", "out of memory: 1 GB"),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("import os; os.abort()", "exit code 134: it wrote no message"),
        ("pass", "left 0 result files"),
    ],
)
def test_failures_come_with_their_reason(
    code: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(monkeypatch, code)
    with pytest.raises(RunFailedError, match=reason):
        run_evaluation(make_config(), {}, tmp_path, LIMITS._replace(memory_gb=1))


class FakeRuns:
    """Stands in for evaluations: notes them, and fails where it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[dict[str, Any]] = []
        self.failing = False
        monkeypatch.setattr(evaluating, "run_evaluation", self)

    def __call__(self, config: dict[str, Any], *_: object) -> VideoScores:
        if self.failing and self.made:
            raise RunFailedError("out of time: 1 minutes")
        self.made.append(config)
        return VideoScores([0.9, 0.7], [0.1 * len(self.made), 0.5])


def test_evaluation_resumes_where_it_stopped(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, suite, out = FakeRuns(monkeypatch), Suite(**SUITE), tmp_path / "out"
    (bad := tmp_path / "bad.tar.gz").write_bytes(bundle(make_files(b"no weights")))
    runs.failing = True
    refused, failed = evaluate([bad, packed], suite, out, Terms.usual())
    assert (refused.manifest, refused.scores) == (None, {})
    assert refused.problem is not None and refused.problem.startswith("refused: ")
    assert failed.problem == "again: out of time: 1 minutes"
    assert rank([refused, failed], suite) == []
    assert "- bad.tar.gz: refused: " in format_table([], [refused, failed], suite)

    runs.failing = False
    (found,) = evaluate([packed], suite, out, Terms.usual())
    assert len(runs.made) == 2  # the first was not run again
    assert found.problem is None
    assert found.scores == {"step": VideoScores([0.9, 0.7], [0.1, 0.5]), "again": VideoScores([0.9, 0.7], [0.2, 0.5])}
    assert runs.made[0]["model"]["weights_file"] == "team_siamrpn_alex_mtl.safetensors"
    assert runs.made[0]["attack"] == STEP
    assert runs.made[0]["sysconfig"]["use_gpu"] is False

    kept = next((out / "runs").glob("*/step.json"))
    kept.write_text("{")  # as a full disk might leave it
    evaluate(
        [packed], replace(suite, attacks={**suite.attacks, "again": {**STEP, "knowledge": "black"}}), out, Terms.usual()
    )
    assert len(runs.made) == 4  # that one, and the changed one


def participant(team: str, claimed: Claim | None = None, **scores: list[float]) -> Participant:
    manifest = Manifest("armory_skelevision submission 1", team, "1", None, None, {}, {}, claimed)
    found = {name: VideoScores([0.9] * len(values), values) for name, values in scores.items()}
    return Participant(Path(f"{team}.tar.gz"), team * 64, manifest, found, None)


def test_the_worst_case_of_each_video_decides() -> None:
    suite = Suite("s", {"a": {}, "b": {}}, {})
    # means of 0.5 each, but never both attacks on the same video; y is weaker on average and steadier
    x, y = participant("x", a=[0.1, 0.9], b=[0.9, 0.1]), participant("y", a=[0.3, 0.3], b=[0.3, 0.3])
    rows = rank([x, y, participant("z", a=[0.3, 0.3], b=[0.3, 0.3])], suite)
    assert [(row.rank, row.team) for row in rows] == [(1, "y"), (1, "z"), (3, "x")]
    assert rows[2].worst.mean == pytest.approx(0.1)
    assert rows[2].attacks == pytest.approx({"a": 0.5, "b": 0.5})
    assert rows[2].benign == pytest.approx(0.9)


def test_intervals() -> None:
    assert find_interval(np.array([0.4])) == (0.4, None, None)
    scores = np.random.default_rng(1).normal(0.5, 0.1, 100).clip(0, 1)
    mean, low, high = find_interval(scores)
    assert low is not None and high is not None
    half = 1.96 * scores.std() / 10  # of the normal distribution
    assert (mean - low, high - mean) == pytest.approx((half, half), rel=0.1)
    assert find_interval(scores) == (mean, low, high)


def test_tables(tmp_path: Path) -> None:
    suite = Suite("spring", {"a": {}}, {})
    participants = [participant("x", Claim(0.8, 0.25, 3), a=[0.2, 0.4]), participant("y", a=[0.5, 0.7])]
    participants.append(Participant(Path("z.tar.gz"), "f" * 64, None, {}, "refused: a link"))
    rows = rank(participants, suite)
    paths = write_tables(rows, participants, suite, tmp_path / "new")
    assert [path.name for path in paths] == ["ranking.md", "ranking.csv", "ranking.json"]
    markdown, table, told = (path.read_text() for path in paths)
    assert markdown.startswith("# spring\n\n| rank | team |")
    assert "| 1    | y    | yyyyyyyyyyyy | 0.60       |" in markdown
    assert markdown.endswith("Not ranked:\n\n- z.tar.gz: refused: a link\n")
    head, first, second = (line.split(",") for line in table.splitlines())
    assert head[:4] == ["rank", "team", "bundle", "worst case"]
    assert (first[1], second[1], second[-1]) == ("y", "x", "0.250000")
    content = json.loads(told)
    assert content["ranking"][0]["worst"]["mean"] == pytest.approx(0.6)
    assert content["not_ranked"] == [{"bundle": "z.tar.gz", "sha256": "f" * 64, "problem": "refused: a link"}]


@pytest.mark.parametrize(
    ("changes", "key", "part"),
    [
        ({"attacks": {}}, ".attacks", "none"),
        ({"attacks": {"../x": STEP}}, ".attacks", "'../x'"),
        ({"attacks": {"benign": STEP}}, ".attacks", "a column of the ranking"),
        ({"attacks": {"Rank": STEP}}, ".attacks", "a column of the ranking"),
        ({"attacks": {"a": STEP, "A": STEP}}, ".attacks", "another attack, a"),
        ({"attacks": {"a\n": STEP}}, ".attacks", "'a\\n'"),
        ({"attacks": {"a\x1b[2J": STEP}}, ".attacks", "x1b"),
        ({"attacks": {"=1": STEP}}, ".attacks", "'=1'"),
        ({"attacks": {"..": STEP}}, ".attacks", "'..'"),
        ({"attacks": [STEP]}, ".attacks", "PatchAttack"),
        ({"name": "a/b"}, ".name", "'a/b'"),
        ({"minutes": 0}, ".minutes", "0"),
        ({"memory_gb": "16"}, ".memory_gb", "'16'"),
        ({"videos": True}, ".videos", "true"),
        ({"videos": 0}, ".videos", "0"),
        ({"hours": 1}, ".hours", "unknown"),
        ({"attacks": {"a": {**STEP, "name": "Patch"}}}, ".attacks.a", "attack.name: "),
        ({"dataset": {**DATA, "root": "no/where"}}, ".attacks.step", "dataset.root: "),
        ({"dataset": {**build_config("otb", "mtl")["dataset"], "root": "no/where"}}, ".attacks.step", "dataset.root: "),
    ],
)
def test_suites_that_could_not_run(changes: dict[str, Any], key: str, part: str, tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    path.write_text(json.dumps({**SUITE, **changes}))
    with pytest.raises(InvalidValueError) as refused:
        read_suite(path)
    assert refused.value.key == f"{path}{key}"
    assert part in refused.value.got


def test_a_suite_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "suite.json"
    for text in ("[]", "{", json.dumps(SUITE)[:-1] + ', "name": "twice"}', '{"minutes": NaN}', "[" * 100_000):
        path.write_text(text)
        with pytest.raises(InvalidValueError) as refused:
            read_suite(path)
        assert refused.value.key == str(path)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none"):
        with pytest.raises(StructuredError) as unread:
            read_suite(path)
        assert unread.value.key == str(path)


@pytest.mark.parametrize(
    "scores", [([], []), ([0.5], []), ([0.5, 0.5], [0.5]), ([0.5], [1.5]), ([-0.1], [0.5]), ([0.5], [float("nan")])]
)
def test_scores_that_are_none_are_not_ranked(
    scores: tuple[list[float], list[float]], packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunFailedError):
        check_scores(VideoScores(*scores))
    runs, suite = FakeRuns(monkeypatch), Suite(**SUITE)
    evaluate([packed], suite, tmp_path, Terms.usual())
    for kept in tmp_path.glob("runs/*/*.json"):  # as somebody may have edited them
        kept.write_text(json.dumps({**json.loads(kept.read_text()), "scores": VideoScores(*scores)._asdict()}))
    (found,) = evaluate([packed], suite, tmp_path, Terms.usual())
    assert found.problem is None and len(runs.made) == 4


def test_attacks_on_different_numbers_of_videos_are_not_compared(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = iter([VideoScores([0.5], [0.5]), VideoScores([0.5, 0.5], [0.5, 0.5])])
    monkeypatch.setattr(evaluating, "run_evaluation", lambda *_: next(results))
    (found,) = evaluate([packed], Suite(**SUITE), tmp_path, Terms.usual())
    assert found.problem is not None and "{'step': 1, 'again': 2}" in found.problem
    assert rank([found], Suite(**SUITE)) == []


def test_what_is_printed_of_a_bundle_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a\n| 1 | team |\x1b[2J.tar.gz"
    path.write_bytes(bundle(make_files(b"no weights", name="weights/team_a\n- b: fine\x1b[2J.safetensors")))
    suite = Suite(**SUITE)
    (found,) = evaluate([path], suite, tmp_path / "out", Terms.usual())
    assert found.problem is not None and found.problem.isprintable()
    *_, line = format_table([], [found], suite).split("\n")
    assert line.isprintable() and line.startswith("- a\\n| 1 ")


def test_the_suite_of_the_docs_could_run(root: Path, tmp_path: Path) -> None:
    (text,) = re.findall(r"```json\n(.*?)```", (root / "docs" / "submissions.md").read_text(), re.DOTALL)
    path = tmp_path / "suite.json"
    path.write_text(json.dumps({**json.loads(text), "gpus": None}))
    assert list(read_suite(path).attacks) == ["patch", "frames"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_bundle_scores_the_same_on_another_machine(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smoke = smoke_run(verify_bundle(packed, tmp_path / "new", Terms.usual()))
    assert 0 <= smoke.adversarial[0] <= smoke.benign[0] <= 1

    # another home, another copy of the package, another place and name of the bundle; the suite asks the same
    other = tmp_path / "another machine"
    checkout = other / "checkout"
    shutil.copytree(Path(run.__file__).parent.parent, checkout / "armory_skelevision")
    monkeypatch.setenv("HOME", str(other))
    monkeypatch.setenv("PYTHONPATH", str(checkout))
    moved = Path(shutil.copy(packed, other / "renamed.tar.gz"))
    attack = {**STEP, "kwargs": {**build_config("walkers", "mtl")["attack"]["kwargs"], "max_iter": 1}}
    suite = Suite(**{**SUITE, "attacks": {"step": attack}})
    (found,) = evaluate([moved], suite, other / "out", Terms.usual())
    assert found.problem is None
    assert found.scores["step"].benign == pytest.approx(smoke.benign, abs=1e-6)
    assert found.scores["step"].adversarial == pytest.approx(smoke.adversarial, abs=1e-6)
    assert (other / ".armory" / "datasets" / "walkers").is_dir()
