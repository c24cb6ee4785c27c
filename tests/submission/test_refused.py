"""Hostile and broken bundles: each is refused with its reason, writes nothing, and runs nothing."""

import io
import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundles import WEIGHTS, bundle, compress, make_config, make_files, make_polyglot, make_tar, read_header
from safetensors import safe_open
from safetensors.numpy import save

from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.networks import SiamRPN
from armory_skelevision.submission.archive import RefusedError, extract_archive
from armory_skelevision.submission.verify import Terms, verify_bundle
from armory_skelevision.weights import Metadata
from armory_skelevision.weights.loading import save_weights

CANARY = "the_canary"
"""A module that writes a file when it is imported; no bundle may bring that about."""

SMALL = save({"t": np.zeros(1, np.float32)})
"""Weights of nothing, for bundles that are refused before anybody looks."""


class Call:
    """Pickled, it writes the canary's file when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (f"import {CANARY}",)


def entry(name: str, kind: bytes, link: str = "") -> tuple[tarfile.TarInfo, bytes]:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, link
    return header, b""


def with_size(size: bytes) -> bytes:
    """A header that says another size than it has."""
    tar = bytearray(make_tar([("config.json", b"{}")]))
    tar[124:136] = size
    tar[148:156] = b" " * 8
    tar[148:156] = b"%06o\0 " % sum(tar[:512])
    return compress(bytes(tar))


def changed(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :]


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("config.json", "{}")
    return packed.getvalue()


def configured(**changes: Any) -> bytes:
    return bundle(make_files(SMALL, make_config(**changes)))


def replaced(old: str, new: str) -> bytes:
    """A config with its text changed, which no dictionary could hold."""
    files = make_files(SMALL)
    text = files["config.json"].replace(old.encode(), new.encode())
    assert text != files["config.json"]
    manifest = json.loads(files["manifest.json"])
    manifest["files"] = {**manifest["files"], "config.json": {"bytes": len(text), "sha256": sha256(text).hexdigest()}}
    return bundle({**files, "config.json": text, "manifest.json": json.dumps(manifest).encode()})


GOOD = make_files(SMALL)
ADAPTED = build_config("walkers", "mtl", "patch", "templateadaptation")["defense"]
VIDEO = build_config("walkers", "mtl", "patch", "video")["defense"]

ARCHIVES: dict[str, tuple[Callable[[], bytes], str]] = {
    "text": (lambda: b"hello", "no .tar.gz"),
    "empty": (lambda: b"", "ends too soon"),
    "zip": (zipped, "no .tar.gz"),
    "cut off": (lambda: bundle(GOOD)[:-200], "damaged one|ends too soon"),
    "damaged": (lambda: changed(bundle(GOOD), -6), "damaged one"),
    "no tar": (lambda: compress(b"x" * 2000), "no tar archive"),
    "without an end": (lambda: compress(make_tar(list(GOOD.items())).rstrip(b"\0")), "ends too soon"),
    "more after the end": (lambda: compress(make_tar(list(GOOD.items())) + b"x" * 512), "follows the end"),
    "symbolic link": (lambda: bundle(GOOD, entry("weights", tarfile.SYMTYPE, "/tmp")), "is a link"),
    "hard link": (lambda: bundle(GOOD, entry("config.json", tarfile.LNKTYPE, "/etc/passwd")), "is a link"),
    "device": (lambda: bundle(GOOD, entry("weights/team_a.safetensors", tarfile.CHRTYPE)), "is a device"),
    "block device": (lambda: bundle(GOOD, entry("config.json", tarfile.BLKTYPE)), "is a device"),
    "pipe": (lambda: bundle(GOOD, entry("config.json", tarfile.FIFOTYPE)), "is a pipe"),
    "folder": (lambda: bundle(GOOD, entry("weights", tarfile.DIRTYPE)), "is a folder"),
    "sparse file": (lambda: bundle(GOOD, entry("config.json", tarfile.GNUTYPE_SPARSE)), "is a sparse file"),
    "long name by PAX": (
        lambda: compress(make_tar([("weights/" + "a" * 300, b"x")], tarfile.PAX_FORMAT)),
        "unusual kind",
    ),
    "long name by GNU": (
        lambda: compress(make_tar([("weights/" + "a" * 300, b"x")], tarfile.GNU_FORMAT)),
        "unusual kind",
    ),
    "absolute path": (lambda: bundle(GOOD, ("/tmp/x.safetensors", b"x")), "absolute path"),
    "drive of Windows": (lambda: bundle(GOOD, ("C:x.safetensors", b"x")), "absolute path"),
    "path out of the folder": (lambda: bundle(GOOD, ("weights/../../x.safetensors", b"x")), "leads out"),
    "the same by backslashes": (lambda: bundle(GOOD, ("weights\\..\\..\\x", b"x")), "leads out"),
    "name with a line break": (lambda: bundle(GOOD, ("weights/a\nb.safetensors", b"x")), "no place in a bundle"),
    "deeper folder": (lambda: bundle(GOOD, ("weights/a/b.safetensors", b"x")), "no place in a bundle"),
    "pickle": (lambda: bundle(GOOD, ("weights/team_a.pth", pickle.dumps(Call()))), "may run code"),
    "Python": (lambda: bundle(GOOD, ("weights/sitecustomize.py", b"x")), "may run code"),
    "any other file": (lambda: bundle(GOOD, ("README.md", b"x")), "no place in a bundle"),
    "file twice": (lambda: bundle(GOOD, ("config.json", b"{}")), "is there twice"),
    "twice but for the case": (lambda: bundle(GOOD, ("weights/TEAM_mtl.safetensors", b"x")), "is there twice"),
    "many files": (
        lambda: bundle(GOOD, *((f"weights/team_{number}.safetensors", b"x") for number in range(4))),
        "more than 4 files",
    ),
    "bomb": (lambda: bundle(GOOD, ("weights/team_a.safetensors", bytes(16 * 1024**2))), "50-fold"),
    "bomb after the end": (lambda: compress(make_tar(list(GOOD.items())) + bytes(16 * 1024**2)), "50-fold"),
    "more than it may have": (lambda: with_size(b"77777777777\0"), "is said to have 8589934591 bytes"),
    "less than nothing": (lambda: with_size(b"\xff" * 12), "is said to have -1 bytes"),
    "nothing in a file": (lambda: with_size(b"00000000000\0"), "is said to have 0 bytes"),
    "large config": (lambda: bundle({"config.json": b" " * 300_000}), "is said to have 300000 bytes"),
}

CONTENTS: dict[str, tuple[Callable[[], bytes], str]] = {
    "no manifest": (lambda: bundle({k: v for k, v in GOOD.items() if k != "manifest.json"}), "no manifest.json"),
    "manifest that is no JSON": (lambda: bundle({**GOOD, "manifest.json": b"{"}), "manifest.json is no JSON"),
    "manifest without end": (lambda: bundle({**GOOD, "manifest.json": b"[" * 200_000}), "nested too deeply"),
    "manifest with more": (lambda: bundle(make_files(SMALL, run="rm")), "'run' was unexpected"),
    "team with a path": (lambda: bundle(make_files(SMALL, team="../x")), "team: '../x' does not match"),
    "team with a line break": (lambda: bundle(make_files(SMALL, team="team\n")), "does not match"),
    "claim beyond all": (
        lambda: bundle(make_files(SMALL, claimed={"benign": 1.5, "adversarial": 0.1, "videos": 1})),
        "claimed.benign: 1.5 is greater",
    ),
    "another file": (lambda: bundle({**GOOD, WEIGHTS: SMALL + b" "}), "is not the file of the manifest"),
    "file of its own": (lambda: bundle(GOOD, ("weights/team_a.safetensors", b"x")), "is not in the manifest"),
    "file missing": (lambda: bundle({k: v for k, v in GOOD.items() if k != WEIGHTS}), "is not in the bundle"),
    "another version": (lambda: bundle(make_files(SMALL, version="0.0.1")), "packed with armory_skelevision 0.0.1"),
    "weights of another team": (
        lambda: bundle(make_files(SMALL, name="weights/theirs.safetensors")),
        "does not begin with the team's name",
    ),
    "pickle by another name": (lambda: bundle(make_files(pickle.dumps(Call()))), "cannot be read as weights"),
    "weights that are an archive": (lambda: bundle(make_files(make_polyglot())), "which ARMORY would unpack"),
    "weights with another story": (
        lambda: bundle(make_files(SMALL, weights={WEIGHTS: {"licence": "MIT"}})),
        "says other things of itself",
    ),
    "key twice": (lambda: replaced('"adhoc": null,', '"adhoc": null, "adhoc": {},'), "'adhoc' occurs twice"),
    "not a number": (lambda: replaced('"step_size": 0.1', '"step_size": NaN'), "NaN is not a number"),
    "no config of ARMORY's": (lambda: replaced('"use_gpu": false', '"use_gpu": 3'), "Expected type boolean"),
    "easier attack": (lambda: configured(attack={"kwargs": {"max_iter": 0}}), "attack: is not as in"),
    "code as attack": (lambda: configured(attack={"module": CANARY}), "attack: is not as in"),
    "code as scenario": (lambda: configured(scenario={"module": CANARY}), "scenario: is not as in"),
    "ad hoc settings": (lambda: configured(adhoc={"train_epochs": 1}), "adhoc: is not as in"),
    "easier data": (lambda: configured(dataset={"max_frames": 2}), "dataset: is not as in"),
    "kinder metric": (lambda: configured(metric={"task": f"{CANARY}.score"}), "metric: is not as in"),
    "code as hook": (lambda: configured(user_init={"module": CANARY}), "user_init: is not as in"),
    "section of its own": (lambda: configured(more={}), "more: is not as in"),
    "code as model": (lambda: configured(model={"module": CANARY}), f"{CANARY}.siamrpn_mtl is not allowed"),
    "class as model": (lambda: configured(model={"name": "SiameseEstimator"}), "SiameseEstimator is not allowed"),
    "code as defense": (
        lambda: configured(defense={**ADAPTED, "module": CANARY}),
        f"{CANARY}.TemplateAdaptation is not allowed",
    ),
    "another defense of ART": (
        lambda: configured(defense={**ADAPTED, "module": "art.defences.preprocessor", "name": "Mp3Compression"}),
        "Mp3Compression is not allowed",
    ),
    "path in a value": (
        lambda: configured(defense={**VIDEO, "kwargs": {**VIDEO["kwargs"], "video_format": "/../../x"}}),
        "video_format: '/../../x' looks like a path",
    ),
    "weights elsewhere": (lambda: configured(model={"weights_file": "/etc/passwd"}), "is not among the weights"),
    "weights for the defense elsewhere": (
        lambda: configured(defense={**ADAPTED, "name": "DuaLossDef", "kwargs": {"weights_file": "../x"}}),
        "is not among the weights",
    ),
    "no weights named": (lambda: configured(model={"weights_file": None}), "None is not among the weights"),
    "training": (lambda: configured(model={"fit": True}), "submissions are not trained"),
    "further key of the model": (lambda: configured(model={"predict_kwargs": {}}), "predict_kwargs: has no place"),
    "code to fetch": (
        lambda: configured(sysconfig={"external_github_repo": "evil/code@v1"}),
        "'evil/code@v1' would have ARMORY fetch code",
    ),
    "code at hand": (lambda: configured(sysconfig={"local_repo_path": "x"}), "local_repo_path: got 'x'"),
    "another path for code": (
        lambda: configured(sysconfig={"external_github_repo_pythonpath": ["x"]}),
        "external_github_repo_pythonpath: got",
    ),
    "results elsewhere": (lambda: configured(sysconfig={"output_dir": "../../x"}), "output_dir: got '../../x'"),
    "result's name elsewhere": (lambda: configured(sysconfig={"output_filename": "/x"}), "output_filename: got '/x'"),
    "setting of its own": (lambda: configured(sysconfig={"shell": "x"}), "sysconfig.shell: has no place"),
    "image of others": (lambda: configured(sysconfig={"docker_image": "evil/image:1"}), "not this package's image"),
    "image of another version": (
        lambda: configured(sysconfig={"docker_image": "armory-skelevision:0.0.1"}),
        "another version's",
    ),
    "two images": (lambda: bundle(make_files(SMALL, docker_image=None)), "docker_image is 'armory-skelevision"),
    "weights of nothing": (lambda: bundle(make_files(SMALL)), "team_mtl.safetensors does not fit|keypoint head"),
}


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a bundle goes; in the working directory lies a module that must not be imported."""
    working = tmp_path / "working"
    working.mkdir()
    (working / f"{CANARY}.py").write_text(f"open({str(tmp_path / 'ALARM')!r}, 'w')\n")
    monkeypatch.chdir(working)
    return tmp_path / "target"


def list_all(folder: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_size) for path in folder.rglob("*")}


def check_refused(path: Path, target: Path, reason: str, extract_only: bool = False) -> None:
    before = list_all(path.parent)
    with pytest.raises(RefusedError, match=reason):
        extract_archive(path, target) if extract_only else verify_bundle(path, target, Terms.usual())
    assert list_all(path.parent) == before, "something was written, or code was run"


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_are_refused(name: str, target: Path, tmp_path: Path) -> None:
    make, reason = ARCHIVES[name]
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(make())
    check_refused(path, target, reason, extract_only=True)


@pytest.mark.parametrize("name", CONTENTS)
def test_contents_are_refused(name: str, target: Path, tmp_path: Path) -> None:
    make, reason = CONTENTS[name]
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(make())
    check_refused(path, target, reason)


def test_the_polyglot_is_both(tmp_path: Path) -> None:
    # or the test above would show nothing
    path = tmp_path / "both.safetensors"
    path.write_bytes(make_polyglot())
    assert tarfile.is_tarfile(path)
    with safe_open(path, framework="np") as file:
        assert list(file.keys()) == ["t"]
    assert read_header(path.read_bytes()).keys() == {"a"}


@pytest.mark.parametrize(
    ("model", "poison", "reason"),
    [
        ({"name": "siamrpn_stl"}, False, "does not fit|multi-task network"),
        ({"model_kwargs": {"keypoint_head": "deep"}}, False, "keypoint head shallow"),
        ({"wrapper_kwargs": {"module": CANARY}}, False, "unknown \\['module'\\]"),
        ({}, True, "NaN or infinite"),
    ],
)
def test_weights_and_kwargs_are_refused(
    model: dict[str, Any], poison: bool, reason: str, target: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = SiamRPN(keypoint_head="shallow")
    made = tmp_path / "made.safetensors"
    save_weights(network, made, Metadata("shallow", 0.2, "None.", "MIT", 1), half=True)
    weights = made.read_bytes()
    if poison:  # the last value of the last tensor
        weights = weights[:-4] + np.float32(np.nan).tobytes()
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(bundle(make_files(weights, make_config(model=model))))
    check_refused(path, target, reason)


def test_a_folder_in_use_is_left_alone(target: Path, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(bundle(GOOD))
    target.mkdir()
    (target / "mine").write_text("mine")
    with pytest.raises(FileExistsError, match="is not empty"):
        extract_archive(path, target)
    assert (target / "mine").read_text() == "mine"


def test_an_empty_folder_stays_where_it_is(target: Path, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(bundle(GOOD)[:-100])
    target.mkdir()
    with pytest.raises(RefusedError):
        extract_archive(path, target)
    assert list(target.iterdir()) == []
