"""The recipes in training_configs/ and in the guide."""

import dataclasses
import itertools

from armory_skelevision.training.settings import MultitaskSettings, read_settings
from armory_skelevision.weights.loading import read_metadata

STAGES = [
    "stage1_base",
    "stage2_occlusion",
    "stage3_hard_negatives",
    "stage4_hard_negatives",
    "stage5_negative_pairs",
    "stage6_negative_pairs",
    "stage7_camera_shake",
]


def test_settings_of_the_packaged_weights(root):
    others = ("dualossdef", "adversarial")
    paths = [path for path in (root / "training_configs").glob("*.json") if not path.stem.startswith(others)]
    recipes = {path.stem: read_settings(path, MultitaskSettings) for path in paths}
    assert set(recipes) == {*STAGES, "siamrpn_alex_stl", "siamrpn_alex_mtl"}
    stl, mtl = recipes["siamrpn_alex_stl"], recipes["siamrpn_alex_mtl"]
    for stage in STAGES:
        assert recipes[stage].folder == f"runs/{stage}"
    for start, run in itertools.pairwise(STAGES):
        assert recipes[run].init == f"{recipes[start].folder}/weights.safetensors"
    assert f"--out {stl.init}\n" in (root / "docs/training.md").read_text()  # the mean of the last three
    # so that the two differ in the second task alone
    assert dataclasses.replace(stl, folder=mtl.folder, keypoint_head="shallow", lambda_k=0.2) == mtl
    for run in recipes.values():
        assert run.steps % run.validation_steps == 0, "the last step would not be validated"


def test_heads_to_compare_differ_in_their_kind_alone(root):
    heatmap, regression = (
        read_settings(root / f"training_configs/heads/{name}.json", MultitaskSettings)
        for name in ("heatmap", "regression")
    )
    assert (root / heatmap.init).is_file() and heatmap.train_only == "keypoint_head"
    changes = {"keypoint_head": "regression", "keypoint_loss": "distance", "folder": "runs/head_regression"}
    assert dataclasses.replace(heatmap, **changes) == regression


def test_fine_tunes_differ_in_the_keypoints_alone(root):
    recipes = {
        path.stem: read_settings(path, MultitaskSettings)
        for path in (root / "training_configs/finetunes").glob("*.json")
    }
    stl, head = recipes.pop("stl"), recipes.pop("keypoint_head")
    assert (root / stl.init).is_file()
    assert head == dataclasses.replace(
        stl, folder="runs/keypoint_head", keypoint_head="shallow", train_only="keypoint_head", learning_rate=0.001
    )
    found = {name: (run.lambda_k, run.keypoint_head, run.init) for name, run in recipes.items()}
    assert found == {
        **{f"mtl_{weight}": (weight, "shallow", stl.init) for weight in (0.2, 0.4, 0.6, 0.8, 1.0)},
        **{f"mtl_{weight}_deep": (weight, "deep", stl.init) for weight in (0.2, 1.0)},
        **{
            f"mtl_{weight}_pretrained": (weight, "shallow", f"{head.folder}/weights.safetensors")
            for weight in (0.2, 1.0)
        },
    }
    for name, run in recipes.items():
        same = dataclasses.replace(run, lambda_k=0.0, keypoint_head=None, init=stl.init, folder=stl.folder)
        assert same == stl and run.folder == f"runs/{name}"


def test_recipe_with_real_people(root):
    folder = root / "training_configs/real"
    recipes = {path.stem: read_settings(path, MultitaskSettings) for path in folder.glob("*.json")}
    assert set(recipes) == {"base", "head", "stl", "mtl"}
    base, head, stl, mtl = (recipes[name] for name in ("base", "head", "stl", "mtl"))
    guide = (root / "docs/training.md").read_text()
    assert f"`{base.init}`" in guide
    assert head.init == stl.init == f"{base.folder}/weights.safetensors"
    assert head.train_only == "keypoint_head" and mtl.init == f"{head.folder}/weights.safetensors"
    same = {"folder": mtl.folder, "init": mtl.init, "keypoint_head": "shallow", "lambda_k": 0.2}
    assert dataclasses.replace(stl, **same) == mtl
    for run in recipes.values():
        assert run.steps % run.validation_steps == 0, "the last step would not be validated"
        assert run.tracking == {}, "PySOT's constants"
        for store in {**run.store, **run.validation_store}:
            assert f" {store}" in guide, "the guide has no command that makes it"
    for held_out in ("walk2", "walk4", "tennis", "dance-twirl"):
        assert any(video.endswith(held_out) for video in base.validation_videos)
        assert f"--without {held_out}" in guide


def test_packaged_weights_name_their_sources(root):
    notice = (root / "armory_skelevision/weights/pretrained/NOTICE").read_text()
    for name in ("stl", "mtl"):
        licence = read_settings(root / f"training_configs/real/{name}.json", MultitaskSettings).licence
        metadata = read_metadata(root / f"armory_skelevision/weights/pretrained/siamrpn_alex_{name}.safetensors")
        assert metadata.licence == licence
        for source in ("Open Images", "COCO 2017", "DAVIS", "salcanmor/PhD", "one-by-one-person-detection", "SAM 2"):
            assert source in licence and source in notice
        for teacher in ("MoveNet", "FastestDet", "NanoTrack"):
            assert teacher in metadata.training and teacher in licence and teacher in notice


def test_settings_of_the_guide(root, tmp_path):
    guide = (root / "docs/training.md").read_text()
    path = tmp_path / "settings.json"
    path.write_text(guide.partition("```json\n")[2].partition("```")[0])
    settings = read_settings(path, MultitaskSettings)
    alone = dataclasses.replace(settings, train_only="keypoint_head", learning_rate=0.001, lambda_k=0.0)
    assert (settings.schedule, settings.search_side) == ("exponential", 255)
    assert alone.init == "siamrpn_alex_dwxcorr.pth"
