"""What holds for all attacks: settings are changed as they are made, and videos come as users have them."""

import os
import re
import struct
import sys
import zlib

import cv2
import numpy as np
import pytest
import torch
from doubles import SMALL, random_estimator, screen_scene, tiny_estimator

from armory_skelevision import attacks
from armory_skelevision.attacks import (
    FGSM,
    PGD,
    RTAA,
    AutoPatch,
    BackdoorTrigger,
    IoUAttack,
    KeypointFGSM,
    KeypointIGSM,
    KeypointUniversal,
    PatchAttack,
    Transfer,
)
from armory_skelevision.attacks.patch.files import read_patch, write_patch
from armory_skelevision.attacks.triggers import Trigger
from armory_skelevision.validation import InvalidTypeError, InvalidValueError, StructuredError

X, Y, METADATA = screen_scene(frames=3)
KEYPOINTS = np.concatenate([np.random.default_rng(0).uniform(60, 80, (17, 2)), np.full((17, 1), 2)], axis=1)
Y[0]["keypoints"] = KEYPOINTS.astype(np.float32)

SETTINGS = {
    FGSM: {},
    PGD: {"max_iter": 1, "verbose": False},
    RTAA: {"max_iter": 1, "verbose": False},
    IoUAttack: {"max_queries": 8, "skip_threshold": 2, "verbose": False},
    BackdoorTrigger: {},
    PatchAttack: {"max_iter": 1, "verbose": False},
    AutoPatch: {"budget": 2, "verbose": False},
    KeypointFGSM: {},
    KeypointIGSM: {"max_iter": 1, "verbose": False},
    Transfer: {"attack": "BackdoorTrigger"},
}
"""Each attack, with settings that make it fast."""


@pytest.fixture(scope="module")
def trackers():
    return {"box": tiny_estimator(), "pose": random_estimator(keypoint_head="shallow", settings=SMALL)}


def make(kind, trackers, **settings):
    tracker = trackers["pose" if issubclass(kind, KeypointIGSM) else "box"]
    return kind(tracker, **{**SETTINGS.get(kind, {}), **settings})


def generate(attack, x=X, y=Y, metadata=METADATA):
    return attack.generate(x=x, y=y, y_patch_metadata=metadata)


def test_no_attack_is_left_out():
    assert {getattr(attacks, name) for name in attacks.__all__} == {*SETTINGS, KeypointUniversal}


LAYOUTS = {
    "turned": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "big-endian": lambda x: x.astype(">f4"),
    "Fortran order": np.asfortranarray,
    "tensor": torch.from_numpy,
    "list": list,
    "read-only": lambda x: np.broadcast_to(x, x.shape),
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_layout_of_a_video_does_not_matter(kind, trackers):
    expected = generate(make(kind, trackers))
    assert expected.shape == X.shape and (expected != X).any()
    for name, change in LAYOUTS.items():
        x = change(X.copy())
        attacked = generate(make(kind, trackers), x)
        assert attacked.dtype == (x.dtype if isinstance(x, np.ndarray) else np.float32), name
        np.testing.assert_allclose(attacked, expected, atol=1e-6, err_msg=name)  # sums may run in another order


@pytest.mark.parametrize("kind", SETTINGS)
def test_videos_as_objects_give_objects(kind, trackers):
    x = np.empty(1, dtype=object)
    x[0] = X[0]
    attacked = generate(make(kind, trackers), x)
    assert attacked.dtype == object and attacked.shape == (1,)
    np.testing.assert_array_equal(attacked[0], generate(make(kind, trackers))[0])


@pytest.mark.parametrize("kind", SETTINGS)
def test_labels_and_metadata_of_a_single_video_need_no_list(kind, trackers):
    expected = generate(make(kind, trackers))
    label = {"boxes": Y[0]["boxes"].tolist(), "keypoints": KEYPOINTS.tolist()}
    np.testing.assert_array_equal(generate(make(kind, trackers), y=label, metadata=METADATA[0]), expected)
    for y in (Y * 2, [Y[0]["boxes"]], {"box": 1}, None, "boxes", 3):
        if kind in (PatchAttack, AutoPatch) or y is not None:
            with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
                generate(make(kind, trackers), y=y)
            assert caught.value.key.startswith("y")


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("x", [None, X[0], X[:0], [], "x", (X * 255).astype(np.uint8), X * np.nan, [list(X[0])]])
def test_videos_that_are_none_are_named(kind, x, trackers):
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        generate(make(kind, trackers), x)
    assert caught.value.key in ("x", "x[0]")


@pytest.mark.parametrize(
    ("metadata", "key"),
    [
        (None, "y_patch_metadata"),
        ([], "y_patch_metadata"),
        (METADATA * 2, "y_patch_metadata"),
        (3, "y_patch_metadata"),
        ([3], "y_patch_metadata[0]"),
        ({}, "y_patch_metadata[0].gs_coords"),
        ({**METADATA[0], "gs_coords": "a"}, "y_patch_metadata[0].gs_coords"),
        ({**METADATA[0], "gs_coords": [[1, 2], [3]]}, "y_patch_metadata[0].gs_coords"),
        ({**METADATA[0], "masks": "a"}, "y_patch_metadata[0].masks"),
        ({**METADATA[0], "masks": METADATA[0]["masks"] * np.nan}, "y_patch_metadata[0].masks"),
    ],
)
def test_metadata_that_are_none_are_named(metadata, key, trackers):
    with pytest.raises((InvalidValueError, InvalidTypeError)) as caught:
        generate(make(PatchAttack, trackers), metadata=metadata)
    assert caught.value.key == key


def test_poses_of_several_videos_are_each_their_own(trackers):
    attack, x = make(KeypointIGSM, trackers), np.concatenate([X, X])
    moved = KEYPOINTS + [5, 5, 0]
    metadata = [{"keypoints": np.stack([points] * 3)} for points in (KEYPOINTS, moved)]
    y = [{"boxes": Y[0]["boxes"]}] * 2
    attacked = attack.generate(x=x, y=y, y_patch_metadata=metadata)
    alone = attack.generate(x=X, y=y[:1], y_patch_metadata=metadata[1])
    np.testing.assert_array_equal(attacked[1:], alone)
    with pytest.raises(InvalidValueError) as caught:  # the second video's were those of the first
        attack.generate(x=x, y=y, y_patch_metadata=metadata[:1])
    assert caught.value.key == "y_patch_metadata"


BAD_SETTINGS = {
    FGSM: {"eps": 0},
    PGD: {"max_iter": 0},
    RTAA: {"eps": 2},
    IoUAttack: {"block_size": 10**6},
    BackdoorTrigger: {"trigger": {"area": 1}},
    PatchAttack: {"momentum": 0.5, "update": "accumulated_sign"},
    AutoPatch: {"budget": 0},
    KeypointFGSM: {"target_pose": [[0, 0]]},
    KeypointIGSM: {"target_pose": "sitting"},
    Transfer: {"attack": "PGD", "kwargs": {"eps": 0}},
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_a_refused_change_of_settings_changes_nothing(kind, trackers):
    attack = make(kind, trackers)
    before, bad = dict(vars(attack)), BAD_SETTINGS[kind]
    for changes in (
        bad,
        {"no_such": 1},
        {**bad, "eps": 0.5} if "eps" in kind.attack_params and "eps" not in bad else bad,
    ):
        with pytest.raises(StructuredError) as caught:
            attack.set_params(**changes)
        assert caught.value.key.split(".")[0] in changes
        assert vars(attack) == before
    with pytest.raises(StructuredError) as refused:
        make(kind, trackers, **bad)
    with pytest.raises(StructuredError) as caught:
        attack.set_params(**bad)
    assert refused.value.args == caught.value.args


def test_what_is_made_of_settings_is_made_again(trackers):
    attack = make(BackdoorTrigger, trackers)
    attack.set_params(trigger={"seed": 5, "area": 0.1})
    np.testing.assert_array_equal(
        generate(attack), generate(make(BackdoorTrigger, trackers, trigger={"seed": 5, "area": 0.1}))
    )
    attack.set_params(trigger=None)
    np.testing.assert_array_equal(generate(attack), generate(make(BackdoorTrigger, trackers)))
    pgd = make(PGD, trackers)
    pgd.set_params(norm=np.inf)
    assert pgd.norm == "inf"


def test_a_loaded_perturbation_is_checked_again(trackers, tmp_path):
    np.save(tmp_path / "a.npy", np.full((127, 127, 3), 0.1, np.float32))
    attack = KeypointUniversal(trackers["pose"], eps=0.2, perturbation=tmp_path / "a.npy")
    with pytest.raises(InvalidValueError) as caught:
        attack.set_params(eps=0.05)
    assert caught.value.key == "perturbation" and attack.eps == 0.2
    attacked = generate(attack)
    np.save(tmp_path / "b.npy", np.zeros((127, 127, 3), np.float32))
    attack.set_params(perturbation=tmp_path / "b.npy")
    np.testing.assert_array_equal(generate(attack), X)
    assert (attacked != X).any()


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x04\x95 pickle", b"\x93NUMPY\x01\x00"], ids=["nothing", "a pickle", "no header"]
)
def test_a_perturbation_that_is_none_is_refused_in_our_words(trackers, tmp_path, data):
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(InvalidValueError) as caught:
        KeypointUniversal(trackers["pose"], perturbation=tmp_path / "a.npy")
    assert caught.value.key == "perturbation" and "a.npy" in caught.value.got
    assert "allow_pickle" not in str(caught.value)


def test_the_number_of_exported_patches_goes_on_when_settings_change(trackers, tmp_path):
    attack = make(PatchAttack, trackers, export=tmp_path)
    generate(attack)
    attack.set_params(max_iter=2)
    generate(attack)
    assert sorted(path.name for path in tmp_path.glob("*.npy")) == ["patch_000.npy", "patch_001.npy"]


@pytest.mark.parametrize("seed", [1, 10**12])
def test_a_seed_without_effect_is_refused_and_any_other_has_one(trackers, seed):
    tracker = trackers["box"]
    for settings in ({}, {"eot": {}}, {"eot": {"samples": 3}}, {"max_iter": 0}, {"update": "gradient"}):
        with pytest.raises(InvalidValueError) as caught:
            PatchAttack(tracker, seed=seed, **settings)
        assert caught.value.key == "seed"
        PatchAttack(tracker, seed=0, **settings)
    PatchAttack(tracker, seed=seed, restarts=2)  # may find a better patch than from grey
    for settings in (
        {"start": "random"},
        {"eot": {"noise": 0.1}},
        {"eot": {"frames": 0.5}},
    ):
        settings = {"max_iter": 3, "verbose": False, **settings}
        patches = [PatchAttack(tracker, seed=each, **settings).generate(X, Y, METADATA) for each in (0, seed)]
        assert (patches[0] != patches[1]).any(), settings


def test_a_start_from_a_file_has_no_seed_either(trackers, tmp_path):
    path = write_patch(tmp_path / "patch_000", np.full((4, 4, 3), 0.5, np.float32), {})
    with pytest.raises(InvalidValueError) as caught:
        PatchAttack(trackers["box"], seed=1, start="random", patch_init=path)
    assert caught.value.key == "seed"


@pytest.mark.parametrize("given", ["", "none.npy", ".", 3, True])
def test_starts_that_are_none_are_refused_before_the_attack(trackers, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StructuredError) as caught:
        PatchAttack(trackers["box"], patch_init=given)
    assert caught.value.key == "patch_init"


@pytest.mark.parametrize("given", ["", "file", "file/below", 3, True])
def test_folders_for_patches_that_are_none_are_refused_before_the_attack(trackers, given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidValueError) as caught:
        PatchAttack(trackers["box"], export=given)
    assert caught.value.key == "export"


@pytest.mark.parametrize("kind", [PGD, RTAA, IoUAttack, PatchAttack, KeypointIGSM])
def test_progress_is_written_where_there_is_no_terminal(kind, trackers, capsys, monkeypatch):
    monkeypatch.setattr(sys.modules["armory_skelevision.io.progress"], "INTERVAL", 0.0)
    generate(make(kind, trackers, verbose=True))
    lines = capsys.readouterr().err.splitlines()
    assert any(re.search(r"\b[1-9]\d* of .* left", line) for line in lines), lines
    generate(make(kind, trackers, verbose=False))
    assert capsys.readouterr().err == ""


def fifo(path):
    os.mkfifo(path)


def claims_400_megapixels(path):
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)


HOSTILE = {
    "pipe": fifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": lambda path: path.mkdir(),
    "no file": lambda path: None,
    "link to itself": lambda path: path.symlink_to(path),
    "nothing": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no picture"),
    "400 megapixels": claims_400_megapixels,
    "half of it": lambda path: path.write_bytes(cv2.imencode(".png", np.eye(40) * 255)[1].tobytes()[:60]),
    "transparent": lambda path: cv2.imwrite(str(path), np.full((8, 8, 4), 100, np.uint8)),
    "another format": lambda path: path.write_bytes(cv2.imencode(".bmp", np.eye(8))[1].tobytes()),
}


@pytest.mark.parametrize("make_file", HOSTILE.values(), ids=HOSTILE.keys())
def test_pictures_that_are_none_are_refused_by_name(make_file, trackers, tmp_path):
    path = tmp_path / "a.png"
    make_file(path)
    for make_it, key in (
        (lambda: PatchAttack(trackers["box"], patch_init=path), "patch_init"),
        (lambda: BackdoorTrigger(trackers["box"], trigger={"picture": str(path)}), "trigger.picture"),
    ):
        with pytest.raises(StructuredError) as caught:
            make_it()
        assert caught.value.key == key and "a.png" in caught.value.got


def test_pictures_are_seen_as_opencv_shows_them(tmp_path):
    grey16 = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 15
    cv2.imwrite(str(tmp_path / "grey16.png"), grey16)
    expected = cv2.imread(str(tmp_path / "grey16.png"))[..., ::-1] / 255
    np.testing.assert_allclose(read_patch(tmp_path / "grey16.png"), expected, atol=1e-6)
    np.testing.assert_allclose(Trigger(picture=str(tmp_path / "grey16.png")).draw(), expected, atol=1e-6)
    with pytest.raises(InvalidValueError) as caught:
        Trigger(picture=str(tmp_path / "grey16.png"), seed=1)
    assert caught.value.key == "seed"


def test_videos_of_several_precisions_keep_the_most_precise():
    x, y, _ = screen_scene(frames=2)
    attacked = FGSM(tiny_estimator()).generate([x[0].astype(np.float16), x[0]], y * 2)
    assert attacked.dtype == np.float32
    np.testing.assert_array_equal(attacked[1], FGSM(tiny_estimator()).generate(x, y)[0])


def test_settings_can_be_changed_after_all_patches_of_a_folder_were_shown(tmp_path):
    x, y, metadata = screen_scene(frames=2)
    write_patch(tmp_path / "patch_000", np.full((4, 4, 3), 0.5, np.float32), {})
    attack = PatchAttack(tiny_estimator(), max_iter=0, patch_init=tmp_path, verbose=False)
    attack.generate(x, y, metadata)
    attack.set_params(max_iter=1)
    assert attack.max_iter == 1


@pytest.mark.parametrize("change", [[1, 1, 0], [1e-3, 1e-3, 1], [100, 100, 1]], ids=["unlabelled", "shares", "far"])
@pytest.mark.parametrize("kind", [KeypointFGSM, KeypointIGSM])
def test_an_attack_on_no_keypoints_is_refused(kind, change):
    x, y, _ = screen_scene(frames=2)
    label = {**y[0], "keypoints": KEYPOINTS * np.array(change)}
    with pytest.raises(InvalidValueError) as caught:
        kind(random_estimator(keypoint_head="shallow")).generate(x, [label])
    assert caught.value.key == "keypoints of person 0"


def test_a_screen_that_would_fill_the_memory_is_named():
    x, y, (metadata,) = screen_scene(frames=2)
    with pytest.raises(InvalidValueError) as caught:
        PatchAttack(tiny_estimator()).generate(x, y, {**metadata, "gs_coords": metadata["gs_coords"] * 1e6})
    assert caught.value.key == "y_patch_metadata[0].gs_coords"
