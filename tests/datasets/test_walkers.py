"""Rendered videos with their annotations: from a split on disk to what the scenario gets."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle

from armory_skelevision.datasets import walker_videos, walkers
from armory_skelevision.datasets.run_lengths import decode_mask
from armory_skelevision.datasets.video_files import read_video, write_video
from armory_skelevision.datasets.walker_files import read_annotation, read_split

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
            assert {len(values) for values in metadata.values()} == {3}


def test_no_thread_that_tunes_the_pipeline_holds_a_process_up(
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
    ("spoil", "message"),
    [
        (without("masks"), r"000\.json: lacks masks"),
        (changed(masks=[]), r"masks: expected a text for each frame"),
        (changed(boxes_xyxy=[[0, 0, 1, 1]]), r"boxes_xyxy: expected finite numbers \(4, 4\)"),
        (changed(boxes_xyxy=[[0, 0, 1, 1]] * 3 + [[5, 5, 5, 9]]), r"boxes_xyxy: frame 3: expected x1 < x2"),
        (changed(keypoints="none"), r"keypoints: expected numbers \(4, 17, 3\)"),
        (changed(gs_coords=[[[0, 0]] * 4] * 3 + [[[0, float("nan")]] * 4]), r"gs_coords: expected finite numbers"),
        (changed(frame_rate=0), r"frame_rate: expected a number above 0, got 0"),
        (changed(width=32), r"000\.mp4: expected frames \(4, 48, 32, 3\) as 000\.json says, got \(4, 48, 64, 3\)"),
        (changed(frame_rate=25.0), r"rain: expected one frame rate for all videos of a split, got \[10\.0, 25\.0\]"),
    ],
)
def test_names_what_is_wrong(
    tmp_path: Path, videos: list[np.ndarray], spoil: Callable[[dict[str, Any]], None], message: str
) -> None:
    annotation = make_annotation()
    spoil(annotation)
    (tmp_path / "town" / "rain" / "000.json").write_text(json.dumps(annotation))
    with pytest.raises(ValueError, match=message):
        walkers(split="rain", root=tmp_path / "town", dataset_dir=tmp_path / "datasets")


def test_names_a_video_without_annotation_and_the_reverse(tmp_path: Path, videos: list[np.ndarray]) -> None:
    folder = tmp_path / "town" / "rain"
    (folder / "000.json").unlink()
    (folder / "001.mp4").rename(folder / "001.part.mp4")
    with pytest.raises(ValueError, match=r"found \['000', '001'\] alone"):
        read_split(folder)
    (folder / "000.json").write_text("{")
    with pytest.raises(ValueError, match=r"000\.json: expected JSON"):
        read_annotation(folder / "000.mp4")


def test_a_damaged_mask_is_named(tmp_path: Path, videos: list[np.ndarray]) -> None:
    annotation = make_annotation()
    annotation["masks"][2] = annotation["masks"][2][:-1]
    path = tmp_path / "town" / "rain" / "000.json"
    path.write_text(json.dumps(annotation))
    with pytest.raises(ValueError, match=r"000\.json: masks: frame 2: expected"):
        read_annotation(path.with_suffix(".mp4")).decode_masks()


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5, 0.98, 1.0])
def test_decodes_what_coco_encodes(density: float) -> None:
    mask = np.asarray(np.random.default_rng(3).random((31, 417)) < density, dtype=np.uint8)
    counts = rle.encode(np.asfortranarray(mask))["counts"].decode()
    decoded = decode_mask(counts, 31, 417)
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, mask)
    with pytest.raises(ValueError, match="expected runs that fill 418×31 pixels, got 12927"):
        decode_mask(counts, 31, 418)


@pytest.mark.parametrize(
    ("counts", "message"), [("", "expected runs"), ("1!", "'!'"), ("5P", "cut off"), ("5O", "runs that fill")]
)
def test_refuses_damaged_run_lengths(counts: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_mask(counts, 2, 2)


def test_names_the_splits_there_are(tmp_path: Path, videos: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"walkers: split: expected 'rain' .* got 'dev'"):
        walkers(root=tmp_path / "town", dataset_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="root: found no folder at"):
        walkers(root="village", dataset_dir=tmp_path)
    with pytest.raises(TypeError, match="unknown option seed; known are"):
        walkers(seed=3, dataset_dir=tmp_path)


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
        assert {len(values) for values in metadata.values()} == {len(boxes[0]["boxes"])} == {x.shape[1]}
