"""The data set `sequences`: which sequences it takes, what a batch holds, what it refuses."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from sequence_data import BOXES_XYWH, NAMES, TRUTHS, lines, write_layout

from armory_skelevision.datasets import frame_source, sequences
from armory_skelevision.datasets.layouts import LAYOUTS
from armory_skelevision.datasets.otb_patch import place_patch
from armory_skelevision.io.images import read_image
from armory_skelevision.validation import InvalidValueError, MissingFileError


@pytest.fixture
def three(tmp_path: Path) -> Path:
    """Three sequences in VOT's layout: ants1, ball2, cat3."""
    root = write_layout(tmp_path / "vot", "vot")
    for name in ("ball2", "cat3"):
        shutil.copytree(root / "ants1", root / name)
    return root


def names_of(folder: Path, **options: object) -> list[str]:
    given = {"layout": "vot", "root": folder, "dataset_dir": folder.parent / "prepared", **options}
    return [labels[1]["name"] for _, labels in sequences(**given)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_is_a_video_with_boxes_patch_and_name(tmp_path: Path, layout: str) -> None:
    root = write_layout(tmp_path / "data", layout)
    data = sequences(layout=layout, root=root, dataset_dir=tmp_path / "prepared", max_frames=3)
    assert len(data) == 1 and data.context.frame_rate == {"got10k": 10, "davis": 24}.get(layout, 30)
    ((x, (labels, metadata)),) = list(data)
    assert x.shape == (1, 3, 48, 64, 3) and x.dtype == np.float32
    boxes_xyxy = np.array([[x, y, x + w, y + h] for x, y, w, h in BOXES_XYWH[:3]], np.float32)
    boxes_xyxy = np.round(boxes_xyxy) if layout == "davis" else boxes_xyxy
    np.testing.assert_array_equal(labels[0]["boxes"], boxes_xyxy)
    assert metadata["name"] == NAMES[layout]
    for key, value in place_patch(boxes_xyxy, 48, 64).items():
        np.testing.assert_array_equal(metadata[key], value)
    assert not list((tmp_path / "prepared").iterdir())


def test_frames_are_those_of_the_images(three: Path) -> None:
    data = sequences(layout="vot", root=three, dataset_dir=three.parent)
    for x, (_, metadata) in data:
        for number in range(4):
            image = read_image(three / metadata["name"] / "color" / f"{number + 1:08d}.jpg")
            np.testing.assert_array_equal(x[0, number], image.astype(np.float32) / np.float32(255))


def test_splits_slices_lists_and_names(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (three / "list.txt").write_text("cat3\r\nants1\n")
    assert names_of(three) == ["ants1", "ball2", "cat3"]
    assert names_of(three, split="all[1:3]") == ["ball2", "cat3"]
    assert names_of(three, index=[0, 2]) == ["ants1", "cat3"]
    assert names_of(three, names=["ball2"]) == ["ball2"]
    assert names_of(three, split="list.txt") == ["cat3", "ants1"]
    assert names_of(three, split="list.txt[1]") == ["ants1"]
    assert names_of(three, split="list.txt", names=["cat3"]) == ["cat3"]
    (three.parent / "mine.txt").write_text("ball2")
    monkeypatch.chdir(three.parent)
    assert names_of(Path("vot"), split="mine.txt") == ["ball2"]
    assert names_of(three, split=str(three.parent / "mine.txt")) == ["ball2"]


def test_random_orders_are_the_same_in_every_run(three: Path) -> None:
    orders = [names_of(three, shuffle_files=True, epochs=4) for _ in range(2)]
    assert orders[0] == orders[1]
    epochs = [orders[0][start : start + 3] for start in range(0, 12, 3)]
    assert all(sorted(epoch) == ["ants1", "ball2", "cat3"] for epoch in epochs)
    assert len({*map(tuple, epochs)}) > 1


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ({"split": "dev"}, "split"),
        ({"split": "all[3:5]"}, "split"),
        ({"split": "gone.txt"}, "gone.txt"),
        ({"split": "empty.txt"}, "{root}/empty.txt"),
        ({"split": "twice.txt"}, "{root}/twice.txt"),
        ({"split": "other.txt"}, "{root}"),
        ({"names": ["dog"]}, "{root}"),
        ({"names": "ants1"}, "names"),
        ({"layout": "votlt"}, "layout"),
        ({"layout": "davis"}, "{root}"),
        ({"root": "nowhere"}, "root"),
        ({"index": [3]}, "index"),
        ({"max_frames": 0}, "max_frames"),
        ({"padding": 3}, "padding"),
    ],
)
def test_wrong_options_are_refused_by_name(
    three: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], key: str
) -> None:
    monkeypatch.chdir(three.parent)
    (three / "empty.txt").write_text("\n")
    (three / "twice.txt").write_text("ants1\nants1\n")
    (three / "other.txt").write_text("ants1\ndog\n")
    with pytest.raises((InvalidValueError, MissingFileError)) as caught:
        names_of(three, **options)
    assert caught.value.key == key.format(root=three)


@pytest.mark.parametrize("layout", ["got10k", "trackingnet"])
def test_withheld_truth_is_refused(tmp_path: Path, layout: str) -> None:
    root = write_layout(tmp_path, layout)
    (root / TRUTHS[layout]).write_text(lines(BOXES_XYWH[:1]))
    with pytest.raises(InvalidValueError) as caught:
        names_of(root, layout=layout, dataset_dir=tmp_path)
    assert caught.value.key == str(root / TRUTHS[layout])


def test_more_than_memory_may_hold_is_refused(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_source, "MAX_PIXELS", 3 * 64 * 48)
    assert len(names_of(three, max_frames=3)) == 3
    with pytest.raises(InvalidValueError) as caught:
        names_of(three)
    assert caught.value.key == "ants1"
