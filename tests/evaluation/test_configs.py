import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from armory_skelevision import __version__
from armory_skelevision.evaluation import configs
from armory_skelevision.validation import InvalidValueError

WALKERS = [f"walkers_{model}" for model in ("mtl", "stl", "nanotrack")]
NAMES = sorted(configs.render_configs())


def load(name: str) -> dict[str, Any]:
    return json.loads(configs.render_configs()[name])


def test_all_are_there() -> None:
    patch = [f"{data}_{model}_patch.json" for data in ("carla", "otb", "walkers") for model in ("mtl", "stl")]
    strongest = [f"{each}_autopatch.json" for each in ("carla_mtl", "otb_mtl", *WALKERS)]
    digital = [f"{data}_mtl_{attack}.json" for data in ("otb", "walkers") for attack in ("iou", "pgd", "rtaa")]
    defended = [f"walkers_mtl_patch_{defense}.json" for defense in ("jpeg", "smoothing", "squeezing", "video")]
    adapted = [f"{data}_mtl_patch_templateadaptation.json" for data in ("carla", "otb", "walkers")]
    cleaned = [f"{data}_mtl_patch_dualossdef.json" for data in ("carla", "otb", "walkers")]
    others = [f"walkers_{model}_patch.json" for model in ("r50", "mobilev2", "siamfcpp", "nanotrack")]
    others += ["carla_mtl_patch_video.json", "walkers_mtl_keypoints_igsm.json"]
    adapted += ["walkers_siamfcpp_patch_templateadaptation.json"]
    backdoors = ["walkers_backdoor_oneshot.json", "walkers_backdoor_fewshot.json"]
    assert sorted(NAMES) == sorted(patch + strongest + digital + defended + adapted + cleaned + others + backdoors)


def test_files_in_git_equal_the_table(root: Path) -> None:
    folder = root / "scenario_configs"
    assert configs.compare_configs(folder) == []
    assert sorted(path.name for path in folder.glob("*.json")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_armory_accepts_the_config(name: str, root: Path) -> None:
    from armory.utils.configuration import load_config

    load_config(str(root / "scenario_configs" / name))


@pytest.mark.parametrize("name", NAMES)
def test_everything_named_exists_and_takes_its_arguments(name: str) -> None:
    config = load(name)

    def target(section: str) -> Any:
        return getattr(import_module(config[section]["module"]), config[section]["name"])

    inspect.signature(target("attack")).bind("estimator", **config["attack"]["kwargs"])
    assert config["attack"]["knowledge"] == ("black" if name.endswith(("_iou.json", "shot.json")) else "white")
    assert config["attack"]["use_label"]
    inspect.signature(target("model")).bind({}, {}, "weights.safetensors")
    if config["defense"] is not None:
        assert config["defense"]["type"] == "Preprocessor"
        inspect.signature(target("defense")).bind(**config["defense"]["kwargs"])
    inspect.signature(target("user_init")).bind(**config["user_init"]["kwargs"])
    inspect.signature(target("scenario")).bind(config, **config["scenario"]["kwargs"])
    from armory import metrics

    assert all(callable(metrics.get(task)) for task in config["metric"]["task"])
    # as armory.utils.config_loading.load_dataset calls it
    given = {key: value for key, value in config["dataset"].items() if key not in ("module", "name", "eval_split")}
    parameters = inspect.signature(target("dataset")).parameters
    assert {*given, "epochs", "split", "shuffle_files"} <= {
        key for key, value in parameters.items() if value.kind is not inspect.Parameter.VAR_KEYWORD
    }


@pytest.mark.parametrize("name", NAMES)
def test_style_and_image(name: str) -> None:
    text = configs.render_configs()[name]
    config = json.loads(text)
    assert text == json.dumps(config, indent=4, sort_keys=True) + "\n"
    assert config["sysconfig"]["docker_image"] == f"armory-skelevision:{__version__}"
    model = name.split("_")[1].removesuffix(".json")
    weights = {"stl": "siamrpn_alex_stl.safetensors", "mtl": "siamrpn_alex_mtl.safetensors"}
    weights["backdoor"] = "siamrpn_alex_mtl_backdoor.safetensors"
    assert config["model"]["weights_file"] == weights.get(model)


def test_differences_are_named(tmp_path: Path) -> None:
    paths = configs.write_configs(tmp_path / "new")
    assert configs.compare_configs(tmp_path / "new") == []
    paths[0].unlink()
    paths[1].write_text("{}")
    missing, differing = configs.compare_configs(tmp_path / "new")
    assert missing == f"{paths[0]} is missing"
    assert differing.startswith(f"{paths[1]} differs")


@pytest.mark.parametrize(
    ("names", "key"),
    [
        (("mot17", "stl"), "dataset"),
        (("walkers", "yolo"), "model"),
        (("walkers", "stl", "magic"), "attack"),
        (("walkers", "mtl", "patch", "prayer"), "defense"),
        (("carla", "stl", "pgd"), "attack, defense"),
    ],
)
def test_unknown_names_are_refused(names: tuple[str, ...], key: str) -> None:
    with pytest.raises(InvalidValueError) as refused:
        configs.build_config(*names)
    assert refused.value.key == key
