"""Rendered videos with their annotations: from a split on disk to the batches."""

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle

from armory_skelevision.datasets import walker_videos, walkers
from armory_skelevision.datasets.run_lengths import decode_mask
from armory_skelevision.datasets.walker_files import read_annotation, read_split
from armory_skelevision.io import printable
from armory_skelevision.io.video_files import read_video, write_video
from armory_skelevision.validation import InvalidValueError, MissingFileError

HEIGHT, WIDTH, FRAMES = 48, 64, 4


def make_annotation(rate: float = 10.0) -> dict[str, Any]:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    mask[10:20, 30:50] = 1
    return {
        "seed": 7,
        "frame_rate": rate,
        "width": WIDTH,
        "height": HEIGHT,
        "boxes_xyxy": [[5.25 + frame, 8.5, 20.75 + frame, 40.0] for frame in range(FRAMES)],
        "keypoints": [[[keypoint + 0.5, frame, keypoint % 3] for keypoint in range(17)] for frame in range(FRAMES)],
        "gs_coords": [[[-3, 10], [50, 10], [50, 20], [-3, 20]]] * FRAMES,
        "masks": [rle.encode(mask)["counts"].decode()] * FRAMES,
    }


@pytest.fixture
def videos(tmp_path: Path) -> list[np.ndarray]:
    """A split `town/rain` of two videos; their frames as they are decoded."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "town" / "rain"
    folder.mkdir(parents=True)
    for number in range(2):
        path = folder / f"{number:03d}.mp4"
        write_video(path, rng.integers(0, 256, (FRAMES, HEIGHT, WIDTH, 3), dtype=np.uint8), 10.0)
        path.with_suffix(".json").write_text(json.dumps(make_annotation()))
    return [read_video(path) for path in sorted(folder.glob("*.mp4"))]


def test_gives_frames_and_labels(tmp_path: Path, videos: list[np.ndarray]) -> None:
    generator = walkers(split="rain", root=tmp_path / "town", dataset_dir=tmp_path / "datasets")
    assert len(generator) == 2
    assert generator.context.frame_rate == 10.0
    annotation = make_annotation()
    for frames in videos:
        x, (boxes, metadata) = next(generator)
        assert x.dtype == np.float32
        np.testing.assert_array_equal(np.round(x[0] * 255), frames)
        assert boxes[0]["boxes"].dtype == np.float32
        np.testing.assert_array_equal(boxes[0]["boxes"], annotation["boxes_xyxy"])
        assert metadata["gs_coords"].dtype == np.int64
        np.testing.assert_array_equal(metadata["gs_coords"], annotation["gs_coords"])
        np.testing.assert_array_equal(metadata["keypoints"], annotation["keypoints"])
        assert metadata["masks"].dtype == np.uint8
        assert metadata["masks"].shape == (FRAMES, HEIGHT, WIDTH, 3)
        assert metadata["masks"].sum() == FRAMES * 10 * 20 * 3
        assert (metadata["masks"][:, 10:20, 30:50] == 1).all()


def test_slices_index_epochs_and_max_frames(
    tmp_path: Path, videos: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {"root": "town", "dataset_dir": tmp_path / "datasets", "max_frames": 3}
    for chosen in ({"split": "rain[1]"}, {"split": "rain", "index": [1]}):
        generator = walkers(epochs=2, **options, **chosen)
        assert len(generator) == 2
        for _ in range(2):
            x, (boxes, metadata) = next(generator)
            np.testing.assert_array_equal(np.round(x[0] * 255), videos[1][:3])
            assert len(boxes[0]["boxes"]) == 3
            assert metadata.pop("name") == "walkers/rain/1"
            assert {len(values) for values in metadata.values()} == {3}


def test_autotuning_is_off_because_its_thread_delays_the_end_of_a_process(
    tmp_path: Path, videos: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow_datasets as tfds

    read: list[Any] = []
    as_numpy = tfds.as_numpy
    monkeypatch.setattr(tfds, "as_numpy", lambda dataset: as_numpy(read.append(dataset) or dataset))
    next(walkers(split="rain", root=tmp_path / "town", dataset_dir=tmp_path / "datasets"))
    (dataset,) = read
    assert dataset.options().autotune.enabled is False


def test_changed_videos_are_prepared_again(tmp_path: Path, videos: list[np.ndarray]) -> None:
    options: dict[str, Any] = {"split": "rain", "root": tmp_path / "town", "dataset_dir": tmp_path / "datasets"}
    walkers(**options)
    folder = tmp_path / "town" / "rain"
    (folder / "000.mp4").write_bytes((folder / "001.mp4").read_bytes())
    x, _ = next(walkers(**options))
    np.testing.assert_array_equal(np.round(x[0] * 255), videos[1])


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda annotation: annotation.pop(key) and None


def changed(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda annotation: annotation.update(values)


@pytest.mark.parametrize(
    ("spoil", "key", "got"),
    [
        (without("masks"), "/000.json", "none of masks"),
        (changed(masks=[]), "/000.json: masks", "[]"),
        (changed(boxes_xyxy=[[0, 0, 1, 1]]), "/000.json: boxes_xyxy", "(1, 4)"),
        (
            changed(boxes_xyxy=[[0, 0, 1, 1]] * 3 + [[5, 5, 5, 9]]),
            "/000.json: boxes_xyxy",
            "[5.0, 5.0, 5.0, 9.0] in frame 3",
        ),
        (changed(keypoints="none"), "/000.json: keypoints", "'none'"),
        (changed(keypoints=[[[0, 0, 3]] * 17] * FRAMES), "/000.json: keypoints", "[3]"),
        (changed(gs_coords=[[[0, 0]] * 4] * 3 + [[[0, 1.5]] * 4]), "/000.json: gs_coords", "fractions"),
        (changed(gs_coords=[[[0, 0]] * 4] * 3 + [[[0, True]] * 4]), "/000.json: gs_coords", "True"),
        (changed(gs_coords=[[[0, 0]] * 4] * 3 + [[[0, "1"]] * 4]), "/000.json: gs_coords", "'1'"),
        (changed(boxes_xyxy=[[0, 0, 1e39, 1]] * FRAMES), "/000.json: boxes_xyxy", "1e+39"),
        (
            changed(boxes_xyxy=[[0, 0, 1, 1]] * (FRAMES - 1) + [[5000, 0, 5010, 9]]),
            "/000.json: boxes_xyxy",
            f"[5000.0, 0.0, 5010.0, 9.0] in frame {FRAMES - 1}",
        ),
        (changed(width=64.5), "/000.json: width", "64.5"),
        (changed(width=10**7), "/000.json: width", "10000000"),
        (changed(width=10**6, height=60), "/000.json: width", "1000000×60"),
        (changed(frame_rate=0), "/000.json: frame_rate", "0"),
        (changed(width=32), "/000.mp4", "(4, 48, 64, 3)"),
        (changed(frame_rate=25.0), "", "[10.0, 25.0]"),
    ],
)
def test_names_what_is_wrong(
    tmp_path: Path, videos: list[np.ndarray], spoil: Callable[[dict[str, Any]], None], key: str, got: str
) -> None:
    annotation = make_annotation()
    spoil(annotation)
    folder = tmp_path / "town" / "rain"
    (folder / "000.json").write_text(json.dumps(annotation))
    with pytest.raises(InvalidValueError) as caught:
        walkers(split="rain", root=tmp_path / "town", dataset_dir=tmp_path / "datasets")
    assert (caught.value.key, caught.value.got) == (f"{folder}{key}", got)


def test_names_a_video_without_annotation_and_the_reverse(tmp_path: Path, videos: list[np.ndarray]) -> None:
    folder = tmp_path / "town" / "rain"
    (folder / "000.json").unlink()
    (folder / "001.mp4").rename(folder / "001.part.mp4")
    with pytest.raises(InvalidValueError) as caught:
        read_split(folder)
    assert (caught.value.key, caught.value.got) == (str(folder), "only one of the two for 000, 001")
    (folder / "000.json").write_text("{")
    with pytest.raises(InvalidValueError) as caught:
        read_annotation(folder / "000.mp4")
    assert (caught.value.key, caught.value.expected) == (str(folder / "000.json"), "JSON")


def test_a_damaged_mask_is_named(tmp_path: Path, videos: list[np.ndarray]) -> None:
    annotation = make_annotation()
    annotation["masks"][2] = annotation["masks"][2][:-1]
    path = tmp_path / "town" / "rain" / "000.json"
    path.write_text(json.dumps(annotation))
    with pytest.raises(InvalidValueError) as caught:
        read_annotation(path.with_suffix(".mp4")).decode_masks()
    assert caught.value.key == f"{path}: masks" and caught.value.got.endswith("in frame 2")


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_decodes_what_coco_encodes(density: float) -> None:
    mask = np.asarray(np.random.default_rng(3).random((31, 417)) < density, dtype=np.uint8)
    counts = rle.encode(np.asfortranarray(mask))["counts"].decode()
    decoded = decode_mask(counts, 31, 417)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, mask)
    with pytest.raises(InvalidValueError) as caught:
        decode_mask(counts, 31, 418)
    assert caught.value.expected == "runs that fill 418×31 pixels"
    assert caught.value.got.startswith("12927 pixels")


@pytest.mark.parametrize(
    ("counts", "got"),
    [("", "0 pixels in ''"), ("1!", "'!' in '1!'"), ("5P", "a truncated text: '5P'"), ("5O", "4 pixels in '5O'")],
)
def test_refuses_damaged_run_lengths(counts: str, got: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        decode_mask(counts, 2, 2)
    assert (caught.value.key, caught.value.got) == ("masks", got)


def test_endless_run_lengths_end() -> None:
    with pytest.raises(InvalidValueError) as caught:
        decode_mask("o" * 10**6, 2, 2)
    assert caught.value.got.startswith("an endless number")


def test_two_numbers_that_are_one_are_refused(tmp_path: Path, videos: list[np.ndarray]) -> None:
    folder = tmp_path / "town" / "rain"
    for suffix in (".mp4", ".json"):
        (folder / f"01{suffix}").write_bytes((folder / f"001{suffix}").read_bytes())
    with pytest.raises(InvalidValueError) as caught:
        read_split(folder)
    assert (caught.value.key, caught.value.got) == (str(folder), "several with 1")


@pytest.mark.parametrize("shuffle", [False, True])
def test_videos_come_in_order_or_shuffled_and_alike_each_time(
    tmp_path: Path, videos: list[np.ndarray], shuffle: bool
) -> None:
    folder = tmp_path / "town" / "rain"
    for number in range(2, 6):
        for suffix in (".mp4", ".json"):
            (folder / f"{number:03d}{suffix}").write_bytes((folder / f"{number % 2:03d}{suffix}").read_bytes())

    def order() -> list[str]:
        generator = walkers(
            split="rain[1:]", root=tmp_path / "town", dataset_dir=tmp_path, shuffle_files=shuffle, epochs=2
        )
        assert len(generator) == 10
        names = []
        for x, (_, metadata) in generator:
            names.append(metadata["name"])
            np.testing.assert_array_equal(np.round(x[0] * 255), videos[int(names[-1][-1]) % 2])
        return names

    names, ascending = order(), [f"walkers/rain/{number}" for number in range(1, 6)]
    assert sorted(names) == sorted(ascending * 2) and sorted(names[:5]) == ascending
    assert (names == ascending * 2) is not shuffle
    assert order() == names


def test_preparation_leaves_nothing_but_records(
    tmp_path: Path, videos: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    walkers(split="rain", root=tmp_path / "town", dataset_dir=tmp_path / "datasets")
    # TensorFlow's generated code is none of ours
    left = [path.name for path in (tmp_path / "temporary").iterdir() if not path.name.startswith("__autograph")]
    assert left == []
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == ["walkers"]


def test_an_incomplete_folder_of_records_is_named(tmp_path: Path, videos: list[np.ndarray]) -> None:
    options: dict[str, Any] = {"split": "rain", "root": tmp_path / "town", "dataset_dir": tmp_path / "datasets"}
    walkers(**options)
    (record,) = (tmp_path / "datasets").rglob("*.tfrecord*")
    record.unlink()
    with pytest.raises(InvalidValueError) as caught:
        walkers(**options)
    assert (caught.value.key, caught.value.fix) == (str(record.parent), "delete it")


@pytest.mark.parametrize(
    ("options", "key"),
    [
        *(({"split": f"rain{part}"}, "split") for part in ("[2:1]", "[0:3]", "[-1]", "[:50%]", "[::2]", "[1]+rain[0]")),
        *(({"index": index}, "index") for index in ([], [2], [-1], [0, 0], "[1:0]", "[0:3]", "first", [True])),
    ],
)
def test_refuses_slices_before_it_prepares(
    tmp_path: Path, videos: list[np.ndarray], options: dict[str, Any], key: str
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        walkers(**{"split": "rain", "root": tmp_path / "town", "dataset_dir": tmp_path / "datasets"} | options)
    assert caught.value.key == key
    assert not (tmp_path / "datasets" / "walkers").exists()


@pytest.mark.parametrize("name", ["night rain", "all", "Nässe", os.fsdecode(b"Caf\xe9"), "night-rain.2"])
def test_splits_may_have_any_name(tmp_path: Path, videos: list[np.ndarray], name: str) -> None:
    (tmp_path / "town" / "rain").rename(tmp_path / "town" / name)
    generator = walkers(split=f"{name}[1]", root=tmp_path / "town", dataset_dir=tmp_path / "datasets")
    x, (_, metadata) = next(generator)
    np.testing.assert_array_equal(np.round(x[0] * 255), videos[1])
    assert metadata["name"] == f"walkers/{printable(name)}/1"


@pytest.mark.parametrize("folder", ["file", "file/inside", "~nobody-of-this-name/data", "a\0b"])
def test_refuses_folders_of_prepared_data_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidValueError) as caught:
        walkers(dataset_dir=folder)
    assert caught.value.key == "dataset_dir"


def test_a_read_only_folder_is_enough_for_prepared_data(
    tmp_path: Path, videos: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"split": "rain", "root": tmp_path / "town", "dataset_dir": tmp_path / "datasets"}
    walkers(**options)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    assert len(list(walkers(**options))) == 2
    (tmp_path / "town" / "rain" / "001.mp4").unlink()
    (tmp_path / "town" / "rain" / "001.json").unlink()
    with pytest.raises(InvalidValueError) as caught:
        walkers(**options)
    assert caught.value.key == "dataset_dir"


def test_names_the_splits_there_are(tmp_path: Path, videos: list[np.ndarray]) -> None:
    with pytest.raises(InvalidValueError) as invalid:
        walkers(root=tmp_path / "town", dataset_dir=tmp_path)
    assert (invalid.value.key, invalid.value.expected, invalid.value.got) == ("split", "'rain'", "'dev'")
    with pytest.raises(MissingFileError) as missing:
        walkers(root="village", dataset_dir=tmp_path)
    assert missing.value.key == "root"
    with pytest.raises(InvalidValueError) as unknown:
        walkers(seed=3, dataset_dir=tmp_path)
    assert unknown.value.key == "seed"


@pytest.mark.parametrize("split", ["mini", "dev"])
def test_packaged_annotations_are_sound(split: str) -> None:
    folder = walker_videos.SPLITS / split
    if not folder.is_dir():
        pytest.skip(f"the split {split} is not rendered yet")
    for video in read_split(folder):
        assert (video.width, video.height) == (640, 480)
        assert (video.boxes_xyxy >= 0).all()
        assert (video.boxes_xyxy[:, [0, 2]] <= video.width).all()
        assert (video.boxes_xyxy[:, [1, 3]] <= video.height).all()
        assert set(np.unique(video.keypoints[..., 2])) <= {0, 1, 2}
        assert video.decode_masks().any()


def test_packaged_mini_split_loads(tmp_path: Path) -> None:
    folder = walker_videos.SPLITS / "mini"
    if not folder.is_dir():
        pytest.skip("the split mini is not rendered yet")
    generator = walkers(split="mini", dataset_dir=tmp_path)
    assert len(generator) == 3
    for path in sorted(folder.glob("*.mp4")):
        x, (boxes, metadata) = next(generator)
        np.testing.assert_array_equal(np.round(x[0] * 255), read_video(path))
        assert metadata.pop("name") == f"walkers/mini/{int(path.stem)}"
        assert {len(values) for values in metadata.values()} == {len(boxes[0]["boxes"])} == {x.shape[1]}


def test_videos_are_in_the_order_of_their_numbers(tmp_path: Path, videos: list[np.ndarray]) -> None:
    folder = next(tmp_path.rglob("000.mp4")).parent
    for suffix in ("mp4", "json"):
        (folder / f"000.{suffix}").rename(folder / f"10.{suffix}")
        (folder / f"001.{suffix}").rename(folder / f"9.{suffix}")
    names = [video.path.stem for video in read_split(folder)]
    assert names == sorted(names, key=int)
    assert names[-2:] == ["9", "10"]
