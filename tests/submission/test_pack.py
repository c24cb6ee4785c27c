"""Bundles as teams make them: packed, verified, evaluated on a suite."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from armory_skelevision.evaluation.check.findings import describe
from armory_skelevision.evaluation.configs import build_config, format_config
from armory_skelevision.evaluation.runner import RunFailedError
from armory_skelevision.io import hash_file
from armory_skelevision.networks.unet import UNETS
from armory_skelevision.submission import evaluate as evaluating
from armory_skelevision.submission import verify as verifying
from armory_skelevision.submission.archive import RefusedError
from armory_skelevision.submission.manifest import Claim
from armory_skelevision.submission.pack import pack
from armory_skelevision.submission.run import VideoScores
from armory_skelevision.submission.verify import Terms, verify_bundle
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS

Run = Callable[..., tuple[int, str, str]]
MTL = PACKAGED_WEIGHTS / "siamrpn_alex_mtl.safetensors"
STEP = {**build_config("walkers", "mtl")["attack"], "kwargs": {"max_iter": 1, "verbose": False}}
DATA = {**build_config("walkers", "mtl")["dataset"], "max_frames": 5}
SUITE: dict[str, Any] = {"name": "small", "attacks": {"step": STEP, "again": STEP}, "dataset": DATA, "videos": 1}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "mine.json"
    path.write_text(format_config(build_config("walkers", "mtl", "patch", "templateadaptation")))
    return path


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with the packaged weights."""
    folder = tmp_path_factory.mktemp("packed")
    (folder / "config.json").write_text(format_config(build_config("walkers", "mtl")))
    pack(folder / "config.json", MTL, folder / "team.tar.gz", "team")
    return folder / "team.tar.gz"


def write_result(path: Path, config: Mapping[str, Any], **changes: Any) -> Path:
    scores = {"benign_video_tracking_mean_iou": [[0.7], [0.9]], "adversarial_video_tracking_mean_iou": [[0.1], [0.3]]}
    means = {"benign_mean_video_tracking_mean_iou": [0.8], "adversarial_mean_video_tracking_mean_iou": [0.2]}
    path.write_text(json.dumps({"config": {**config, **changes}, "results": {**scores, **means}}))
    return path


def test_packing_twice_gives_the_same_bytes(config: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    pack(config, MTL, tmp_path / "a.tar.gz", "team")
    pack(config.rename(moved / "other.json"), Path(shutil.copy(MTL, moved)), moved / "b.tar.gz", "team")
    assert (tmp_path / "a.tar.gz").read_bytes() == (moved / "b.tar.gz").read_bytes()


def test_a_file_is_replaced_only_when_told_to(run: Run, config: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.tar.gz"
    out.write_bytes(b"a user's")
    command = ["submit", "pack", config, "--weights", MTL, "--out", out]
    code, printed, err = run(*command)
    assert (code, printed, out.read_bytes()) == (1, "", b"a user's")
    assert err.startswith(f"error: {out}: ") and "--overwrite" in err
    assert run(*command, "--overwrite")[0] == 0
    assert verify_bundle(out, tmp_path / "new", Terms.usual()).manifest.team == "anonymous"


def test_a_bundle_unpacks_to_the_form_of_armory(config: Path, tmp_path: Path) -> None:
    from armory.utils.configuration import load_config

    result = write_result(tmp_path / "result.json", json.loads(config.read_text()))
    manifest = pack(config, MTL, tmp_path / "a.tar.gz", "team", result=result)
    assert manifest.claimed == Claim(0.8, 0.2, 2)
    submission = verify_bundle(tmp_path / "a.tar.gz", tmp_path / "new", Terms.usual())
    assert submission.manifest == manifest
    assert submission.warnings == []
    files = [path.relative_to(tmp_path / "new").as_posix() for path in (tmp_path / "new").rglob("*") if path.is_file()]
    assert sorted(files) == ["config.json", "manifest.json", "weights/team_siamrpn_alex_mtl.safetensors"]
    unpacked, packed = load_config(str(tmp_path / "new" / "config.json")), json.loads(config.read_text())
    assert {key for key in unpacked if unpacked[key] != packed[key]} == {"model"}
    assert unpacked["model"]["weights_file"] == "team_siamrpn_alex_mtl.safetensors"
    assert manifest.weights["weights/team_siamrpn_alex_mtl.safetensors"]["keypoint_head"] == "shallow"
    assert str(tmp_path) not in json.dumps(unpacked) + (tmp_path / "new" / "manifest.json").read_text()


def test_a_defense_brings_its_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(UNETS["small"]().state_dict(), tmp_path / "unet.safetensors")
    config, out = build_config("walkers", "mtl"), tmp_path / "a.tar.gz"
    kwargs = {"weights_file": "unet.safetensors", "width": "small"}
    module = "armory_skelevision.defenses"
    config["defense"] = {"kwargs": kwargs, "module": module, "name": "DuaLossDef", "type": "Preprocessor"}
    (tmp_path / "mine.json").write_text(format_config(config))
    with pytest.raises(InvalidValueError) as refused:
        pack(tmp_path / "mine.json", MTL, out)
    assert (refused.value.key, refused.value.got) == ("defense_weights", "none")
    pack(tmp_path / "mine.json", MTL, out, "team", defense_weights=tmp_path / "unet.safetensors")
    submission = verify_bundle(out, tmp_path / "new", Terms.usual())
    assert set(submission.weights) == {"team_siamrpn_alex_mtl.safetensors", "team_unet.safetensors"}
    assert submission.config["defense"]["kwargs"]["weights_file"] == "team_unet.safetensors"

    kwargs["width"] = "base"  # for which these are no weights
    (tmp_path / "mine.json").write_text(format_config(config))
    with pytest.raises(RefusedError) as wrong:
        pack(tmp_path / "mine.json", MTL, out, "team", tmp_path / "unet.safetensors", overwrite=True)
    (finding,) = wrong.value.findings
    assert finding.key.startswith("defense.kwargs") and "team_unet.safetensors" in describe(finding)
    assert str(tmp_path) not in describe(finding)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"weights": Path("model.pth")}, "model.weights_file"),
        ({"team": "a team"}, "team"),
        ({"repository": "owner/name"}, "external_github_repo"),
        ({"out": Path("bundle.zip")}, "out"),
        ({"defense_weights": MTL}, "defense_weights"),
    ],
)
def test_what_cannot_be_packed(options: dict[str, Any], key: str, config: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError) as refused:
        pack(**{"config": config, "weights": MTL, "out": tmp_path / "a.tar.gz", **options})
    assert refused.value.key == key
    assert not list(tmp_path.glob("*.tar.gz"))


def test_pickled_weights_come_with_the_command_that_converts_them(config: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError) as refused:
        pack(config, Path("model.pth"), tmp_path / "a.tar.gz")
    assert "skelevision weights convert model.pth model.safetensors" in refused.value.fix


def test_weights_of_another_network_are_not_packed(config: Path, tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        pack(config, PACKAGED_WEIGHTS / "siamrpn_alex_stl.safetensors", tmp_path / "a.tar.gz")
    assert [finding.key for finding in refused.value.findings] == ["model.weights_file"]
    assert not list(tmp_path.glob("*.tar.gz"))


def test_a_claim_has_to_be_about_the_config(config: Path, tmp_path: Path) -> None:
    result = write_result(tmp_path / "result.json", json.loads(config.read_text()), defense=None)
    with pytest.raises(InvalidValueError) as refused:
        pack(config, MTL, tmp_path / "a.tar.gz", result=result)
    assert refused.value.key == "result" and "its defense differ" in refused.value.got


def test_a_repository_has_to_be_allowed(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.tar.gz"
    assert pack(config, MTL, out, repository="owner/name@v1").external_github_repo == "owner/name@v1"
    with pytest.raises(RefusedError) as refused:
        verify_bundle(out, tmp_path / "new", Terms.usual())
    assert [finding.key for finding in refused.value.findings] == ["sysconfig.external_github_repo"]
    terms = Terms.usual()._replace(repositories=("owner/name@v1",))
    submission = verify_bundle(out, tmp_path / "new", terms)
    assert submission.config["sysconfig"]["external_github_repo"] == "owner/name@v1"


def test_another_baseline(run: Run, packed: Path, tmp_path: Path) -> None:
    other = build_config("walkers", "mtl")
    other["attack"]["kwargs"]["max_iter"] = 99
    (tmp_path / "other.json").write_text(format_config(other))
    code, out, err = run("submit", "verify", packed, "--no-smoke", "--baseline", tmp_path / "other.json")
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {packed} is refused: config.json: ") and " attack: " in err
    code, out, _ = run("submit", "verify", packed, "--no-smoke", "--into", tmp_path / "new")
    assert (code, out) == (0, f"{packed}: accepted, team team, team_siamrpn_alex_mtl.safetensors\n")
    assert hash_file(tmp_path / "new" / "weights" / "team_siamrpn_alex_mtl.safetensors") == hash_file(MTL)


@pytest.mark.parametrize("into", [None, "absent", "empty"])
def test_nothing_is_accepted_before_its_smoke_run(
    into: str | None, run: Run, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if into == "empty":
        (tmp_path / into).mkdir()
    before = list(tmp_path.rglob("*"))
    options = [] if into is None else ["--into", tmp_path / into]

    def fail(*_: object, **__: object) -> VideoScores:
        raise RunFailedError("out of memory\x1b[2J")

    monkeypatch.setattr(verifying, "run_evaluation", fail)
    code, out, err = run("submit", "verify", packed, *options)
    assert (code, out) == (1, "")
    assert err == f"error: {packed} is refused: the smoke run failed: out of memory\\x1b[2J\n"
    assert list(tmp_path.rglob("*")) == before

    monkeypatch.setattr(verifying, "run_evaluation", lambda *_, **__: VideoScores([0.9], [0.5]))
    code, out, err = run("submit", "verify", packed, *options)
    assert (code, err) == (0, "")
    smoke, accepted = out.splitlines()
    assert smoke == "smoke run: benign mIoU 0.9000  adversarial mIoU 0.5000"
    assert accepted.startswith(f"{packed}: accepted, team team, ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ([] if into is None else [into])
    if into:
        assert sorted(path.name for path in (tmp_path / into).iterdir()) == ["config.json", "manifest.json", "weights"]


def test_a_full_disk_is_named(packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(verifying, "extract_archive", fail)
    with pytest.raises(OSError, match="No space left") as full:
        verify_bundle(packed, tmp_path / "new", Terms.usual())
    assert full.value.filename == str(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["[]", "{", '{"model": 1, "model": 2}', "NaN"])
def test_configs_that_are_none_are_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text(text)
    with pytest.raises(InvalidValueError) as refused:
        pack(tmp_path / "mine.json", MTL, tmp_path / "a.tar.gz")
    assert refused.value.key == str(tmp_path / "mine.json")


def test_commands(run: Run, config: Path, packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluating, "run_evaluation", lambda *_: VideoScores([0.9], [0.5]))
    mine, suite, out = tmp_path / "mine.tar.gz", tmp_path / "suite.json", tmp_path / "out"
    code, printed, _ = run("submit", "pack", config, "--weights", MTL, "--out", mine, "--team", "us")
    assert (code, printed) == (0, f"{mine}  sha256 {hash_file(mine)}\n")
    suite.write_text(json.dumps(SUITE))
    code, printed, _ = run("submit", "evaluate", mine, packed, "--suite", suite, "--out", out)
    assert code == 0
    assert printed.startswith("| rank | team |")
    assert printed.endswith(f"{out / 'ranking.md'}\n{out / 'ranking.csv'}\n{out / 'ranking.json'}\n")
    (tmp_path / "bad.tar.gz").write_bytes(b"nothing")
    code, printed, _ = run("submit", "evaluate", tmp_path / "bad.tar.gz", packed, "--suite", suite, "--out", out)
    assert code == 1
    assert "- bad.tar.gz: refused: bundle: " in printed and "| 1    | team |" in printed
