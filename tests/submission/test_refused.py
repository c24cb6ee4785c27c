"""Hostile and broken bundles: each is refused with its reason, writes nothing, and runs nothing."""

import io
import json
import pickle
import re
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
from armory_skelevision.submission.archive import RefusedError
from armory_skelevision.submission.verify import Terms, verify_bundle
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.loading import save_weights
from armory_skelevision.weights.metadata import Metadata

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

ARCHIVES: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "text": (lambda: b"hello", "bundle", "a .tar.gz"),
    "empty": (lambda: b"", "bundle", "a truncated archive"),
    "zip": (zipped, "bundle", "a .tar.gz"),
    "cut off": (lambda: bundle(GOOD)[:-200], "bundle", "damaged one|truncated"),
    "damaged": (lambda: changed(bundle(GOOD), -6), "bundle", "damaged one"),
    "no tar": (lambda: compress(b"x" * 2000), "bundle", "a tar archive"),
    "without an end": (lambda: compress(make_tar(list(GOOD.items())).rstrip(b"\0")), "bundle", "a truncated archive"),
    "more after the end": (lambda: compress(make_tar(list(GOOD.items())) + b"x" * 512), "bundle", "after the end"),
    "symbolic link": (lambda: bundle(GOOD, entry("weights", tarfile.SYMTYPE, "/tmp")), "weights", "a link"),
    "hard link": (lambda: bundle(GOOD, entry("config.json", tarfile.LNKTYPE, "/etc/passwd")), "config.json", "a link"),
    "device": (
        lambda: bundle(GOOD, entry("weights/team_a.safetensors", tarfile.CHRTYPE)),
        "weights/team_a.safetensors",
        "a device",
    ),
    "block device": (lambda: bundle(GOOD, entry("config.json", tarfile.BLKTYPE)), "config.json", "a device"),
    "pipe": (lambda: bundle(GOOD, entry("config.json", tarfile.FIFOTYPE)), "config.json", "a pipe"),
    "folder": (lambda: bundle(GOOD, entry("weights", tarfile.DIRTYPE)), "weights", "a folder"),
    "sparse file": (lambda: bundle(GOOD, entry("config.json", tarfile.GNUTYPE_SPARSE)), "config.json", "a sparse file"),
    "long name by PAX": (
        lambda: compress(make_tar([("weights/" + "a" * 300, b"x")], tarfile.PAX_FORMAT)),
        "././@PaxHeader",
        "a plain file",
    ),
    "long name by GNU": (
        lambda: compress(make_tar([("weights/" + "a" * 300, b"x")], tarfile.GNU_FORMAT)),
        "././@LongLink",
        "a plain file",
    ),
    "absolute path": (lambda: bundle(GOOD, ("/tmp/x.safetensors", b"x")), "/tmp/x.safetensors", "an absolute path"),
    "drive of Windows": (lambda: bundle(GOOD, ("C:x.safetensors", b"x")), "C:x.safetensors", "an absolute path"),
    "path out of the folder": (
        lambda: bundle(GOOD, ("weights/../../x.safetensors", b"x")),
        "weights/../../x.safetensors",
        "leads out",
    ),
    "the same by backslashes": (lambda: bundle(GOOD, ("weights\\..\\..\\x", b"x")), "weights\\..\\..\\x", "leads out"),
    "name with a line break": (
        lambda: bundle(GOOD, ("weights/a\nb.safetensors", b"x")),
        "weights/a\nb.safetensors",
        "another name",
    ),
    "deeper folder": (
        lambda: bundle(GOOD, ("weights/a/b.safetensors", b"x")),
        "weights/a/b.safetensors",
        "another name",
    ),
    "pickle": (
        lambda: bundle(GOOD, ("weights/team_a.pth", pickle.dumps(Call()))),
        "weights/team_a.pth",
        "may run code",
    ),
    "Python": (lambda: bundle(GOOD, ("weights/sitecustomize.py", b"x")), "weights/sitecustomize.py", "may run code"),
    "any other file": (lambda: bundle(GOOD, ("README.md", b"x")), "README.md", "another name"),
    "file twice": (lambda: bundle(GOOD, ("config.json", b"{}")), "config.json", "a second one"),
    "twice but for the case": (
        lambda: bundle(GOOD, ("weights/TEAM_mtl.safetensors", b"x")),
        "weights/team_mtl.safetensors",
        "a second one",
    ),
    "many files": (
        lambda: bundle(GOOD, *((f"weights/team_{number}.safetensors", b"x") for number in range(4))),
        "config.json",
        "at most 4 files",
    ),
    "bomb": (lambda: bundle(GOOD, ("weights/team_a.safetensors", bytes(16 * 1024**2))), "bundle", "50 unpacked bytes"),
    "bomb after the end": (
        lambda: compress(make_tar(list(GOOD.items())) + bytes(16 * 1024**2)),
        "bundle",
        "50 unpacked bytes",
    ),
    "more than it may have": (lambda: with_size(b"77777777777\0"), "config.json", "^8589934591$"),
    "less than nothing": (lambda: with_size(b"\xff" * 12), "config.json", "^-1$"),
    "nothing in a file": (lambda: with_size(b"00000000000\0"), "config.json", "^0$"),
    "large config": (lambda: bundle({"config.json": b" " * 300_000}), "config.json", "^300000$"),
}

CONTENTS: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "no manifest": (lambda: bundle({k: v for k, v in GOOD.items() if k != "manifest.json"}), "manifest.json", "none"),
    "manifest that is no JSON": (lambda: bundle({**GOOD, "manifest.json": b"{"}), "manifest.json", "JSON"),
    "manifest without end": (
        lambda: bundle({**GOOD, "manifest.json": b"[" * 200_000}),
        "manifest.json",
        "nested too deeply",
    ),
    "manifest with more": (lambda: bundle(make_files(SMALL, run="rm")), "manifest.json.run", "unknown"),
    "team with a path": (lambda: bundle(make_files(SMALL, team="../x")), "manifest.json.team", "'../x'"),
    "team with a line break": (lambda: bundle(make_files(SMALL, team="team\n")), "manifest.json.team", r"team\\n"),
    "claim beyond all": (
        lambda: bundle(make_files(SMALL, claimed={"benign": 1.5, "adversarial": 0.1, "videos": 1})),
        "manifest.json.claimed.benign",
        "1.5",
    ),
    "another file": (lambda: bundle({**GOOD, WEIGHTS: SMALL + b" "}), WEIGHTS, "another hash or size"),
    "file of its own": (
        lambda: bundle(GOOD, ("weights/team_a.safetensors", b"x")),
        "weights/team_a.safetensors",
        "in the manifest",
    ),
    "file missing": (lambda: bundle({k: v for k, v in GOOD.items() if k != WEIGHTS}), WEIGHTS, "in the bundle"),
    "another version": (lambda: bundle(make_files(SMALL, version="0.0.1")), "manifest.json.version", "0.0.1"),
    "weights of another team": (
        lambda: bundle(make_files(SMALL, name="weights/theirs.safetensors")),
        "weights/theirs.safetensors",
        "theirs",
    ),
    "pickle by another name": (lambda: bundle(make_files(pickle.dumps(Call()))), WEIGHTS, "readable weights"),
    "weights that are an archive": (lambda: bundle(make_files(make_polyglot())), WEIGHTS, "which ARMORY would unpack"),
    "weights with another story": (
        lambda: bundle(make_files(SMALL, weights={WEIGHTS: {"licence": "MIT"}})),
        WEIGHTS,
        "metadata",
    ),
    "key twice": (
        lambda: replaced('"adhoc": null,', '"adhoc": null, "adhoc": {},'),
        "config.json",
        "'adhoc' occurs twice",
    ),
    "not a number": (lambda: replaced('"step_size": 0.1', '"step_size": NaN'), "config.json", "NaN"),
    "no config of ARMORY's": (lambda: replaced('"use_gpu": false', '"use_gpu": 3'), "sysconfig.use_gpu", "boolean"),
    "easier attack": (lambda: configured(attack={"kwargs": {"max_iter": 0}}), "attack", "the evaluation's config"),
    "code as attack": (lambda: configured(attack={"module": CANARY}), "attack", "the evaluation's config"),
    "code as scenario": (lambda: configured(scenario={"module": CANARY}), "scenario", "the evaluation's config"),
    "ad hoc settings": (lambda: configured(adhoc={"train_epochs": 1}), "adhoc", "the evaluation's config"),
    "easier data": (lambda: configured(dataset={"max_frames": 2}), "dataset", "the evaluation's config"),
    "kinder metric": (lambda: configured(metric={"task": f"{CANARY}.score"}), "metric", "the evaluation's config"),
    "code as hook": (lambda: configured(user_init={"module": CANARY}), "user_init", "the evaluation's config"),
    "section of its own": (lambda: configured(more={}), "more", "the evaluation's config"),
    "code as model": (lambda: configured(model={"module": CANARY}), "model.module", f"{CANARY}.siamrpn_mtl"),
    "code as external tracker": (
        lambda: configured(model={"name": "external", "model_kwargs": {"factory": f"{CANARY}:make"}}),
        "model.module",
        "armory_skelevision.models.external",
    ),
    "class as model": (lambda: configured(model={"name": "SiameseEstimator"}), "model.module", "SiameseEstimator"),
    "code as defense": (
        lambda: configured(defense={**ADAPTED, "module": CANARY}),
        "defense.module",
        f"{CANARY}.TemplateAdaptation",
    ),
    "another defense of ART": (
        lambda: configured(defense={**ADAPTED, "module": "art.defences.preprocessor", "name": "Mp3Compression"}),
        "defense.module",
        "Mp3Compression",
    ),
    "path in a value": (
        lambda: configured(defense={**VIDEO, "kwargs": {**VIDEO["kwargs"], "video_format": "/../../x"}}),
        "defense.kwargs.video_format",
        "/../../x",
    ),
    "weights elsewhere": (
        lambda: configured(model={"weights_file": "/etc/passwd"}),
        "model.weights_file",
        "/etc/passwd",
    ),
    "weights for the defense elsewhere": (
        lambda: configured(defense={**ADAPTED, "name": "DuaLossDef", "kwargs": {"weights_file": "../x"}}),
        "defense.kwargs.weights_file",
        "../x",
    ),
    "no weights named": (lambda: configured(model={"weights_file": None}), "model.weights_file", "null"),
    "training": (lambda: configured(model={"fit": True}), "model.fit", "not trained"),
    "further key of the model": (
        lambda: configured(model={"predict_kwargs": {}}),
        "model.predict_kwargs",
        "not allowed",
    ),
    "code to fetch": (
        lambda: configured(sysconfig={"external_github_repo": "evil/code@v1"}),
        "sysconfig.external_github_repo",
        "evil/code@v1",
    ),
    "code at hand": (lambda: configured(sysconfig={"local_repo_path": "x"}), "sysconfig.local_repo_path", "'x'"),
    "another path for code": (
        lambda: configured(sysconfig={"external_github_repo_pythonpath": ["x"]}),
        "sysconfig.external_github_repo_pythonpath",
        "'x'",
    ),
    "results elsewhere": (lambda: configured(sysconfig={"output_dir": "../../x"}), "sysconfig.output_dir", "../../x"),
    "result's name elsewhere": (
        lambda: configured(sysconfig={"output_filename": "/x"}),
        "sysconfig.output_filename",
        "'/x'",
    ),
    "setting of its own": (lambda: configured(sysconfig={"shell": "x"}), "sysconfig.shell", "not allowed"),
    "image of others": (
        lambda: configured(sysconfig={"docker_image": "evil/image:1"}),
        "sysconfig.docker_image",
        "evil/image:1",
    ),
    "image of another version": (
        lambda: configured(sysconfig={"docker_image": "armory-skelevision:0.0.1"}),
        "sysconfig.docker_image",
        "0.0.1",
    ),
    "two images": (
        lambda: bundle(make_files(SMALL, docker_image=None)),
        "config.json.sysconfig.docker_image",
        "armory-skelevision",
    ),
    "weights of nothing": (lambda: bundle(make_files(SMALL)), "model.weights_file", "team_mtl.safetensors"),
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


def check_refused(path: Path, target: Path, key: str, part: str) -> None:
    """Refused for the key, of the bundle or among the findings on its config; what is wrong there matches ``part``."""
    before = list_all(path.parent)
    with pytest.raises(RefusedError) as refused:
        verify_bundle(path, target, Terms.usual())
    assert list_all(path.parent) == before, "something was written, or code was run"
    error = refused.value
    found = {error.key: f"{error.got}\n{error.expected}"} | {each.key: each.problem for each in error.findings}
    assert key in found
    assert re.search(part, found[key], re.MULTILINE), found[key]


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_are_refused(name: str, target: Path, tmp_path: Path) -> None:
    make, key, part = ARCHIVES[name]
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(make())
    check_refused(path, target, key, part)


@pytest.mark.parametrize("name", CONTENTS)
def test_contents_are_refused(name: str, target: Path, tmp_path: Path) -> None:
    make, key, part = CONTENTS[name]
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(make())
    check_refused(path, target, key, part)


def test_the_polyglot_is_both(tmp_path: Path) -> None:
    # or the test above would show nothing
    path = tmp_path / "both.safetensors"
    path.write_bytes(make_polyglot())
    assert tarfile.is_tarfile(path)
    with safe_open(path, framework="np") as file:
        assert list(file.keys()) == ["t"]
    assert read_header(path.read_bytes()).keys() == {"a"}


@pytest.mark.parametrize(
    ("model", "poison", "key", "part"),
    [
        ({"name": "siamrpn_stl"}, False, "model.weights_file", "team_mtl.safetensors"),
        ({"model_kwargs": {"keypoint_head": "deep"}}, False, "model.weights_file", "shallow"),
        ({"wrapper_kwargs": {"module": CANARY}}, False, "model.wrapper_kwargs.module", "known key"),
        ({}, True, "model.weights_file", "NaN or infinite"),
    ],
)
def test_weights_and_kwargs_are_refused(
    model: dict[str, Any], poison: bool, key: str, part: str, target: Path, tmp_path: Path
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
    check_refused(path, target, key, part)


def test_a_folder_in_use_is_left_alone(target: Path, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(bundle(GOOD))
    target.mkdir()
    (target / "mine").write_text("mine")
    with pytest.raises(InvalidValueError) as refused:
        verify_bundle(path, target, Terms.usual())
    assert refused.value.key == str(target)
    assert (target / "mine").read_text() == "mine"


def test_an_empty_folder_stays_where_it_is(target: Path, tmp_path: Path) -> None:
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(bundle(GOOD)[:-100])
    target.mkdir()
    with pytest.raises(RefusedError):
        verify_bundle(path, target, Terms.usual())
    assert list(target.iterdir()) == []
