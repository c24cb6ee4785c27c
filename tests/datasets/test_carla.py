"""ARMORY's own CARLA loader through ours: its batches, and the error where there are no data."""

import time
from pathlib import Path

import numpy as np
import pytest
from carla_data import CarlaVideo, write_carla

from armory_skelevision.datasets import carla, carla_video_tracking
from armory_skelevision.validation import InvalidValueError, MissingFileError


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[CarlaVideo]]:
    folder = tmp_path_factory.mktemp("datasets")
    return folder, write_carla(folder, videos=2, frames=3)


def test_gives_the_videos_as_the_scenario_wants_them(prepared: tuple[Path, list[CarlaVideo]]) -> None:
    folder, videos = prepared
    generator = carla_video_tracking(split="dev", dataset_dir=folder)
    assert len(generator) == 2
    assert generator.context.frame_rate == 10
    for video in videos:
        x, (boxes, metadata) = next(generator)
        assert x.dtype == np.float32
        np.testing.assert_allclose(x[0], video.frames / np.float32(255), rtol=1e-6)
        assert boxes[0]["boxes"].dtype == np.int64
        np.testing.assert_array_equal(boxes[0]["boxes"], video.boxes_xyxy)
        np.testing.assert_array_equal(metadata["gs_coords"], video.gs_coords)
        np.testing.assert_array_equal(metadata["masks"], video.masks)


def test_max_frames_cuts_video_and_labels(prepared: tuple[Path, list[CarlaVideo]]) -> None:
    folder, videos = prepared
    generator = carla_video_tracking(split="dev[1]", dataset_dir=folder, max_frames=2)
    x, (boxes, metadata) = next(generator)
    assert len(generator) == 1
    assert x.shape == (1, 2, 960, 1280, 3)
    np.testing.assert_array_equal(boxes[0]["boxes"], videos[1].boxes_xyxy[:2])
    assert metadata["gs_coords"].shape == (2, 4, 2)
    assert metadata["masks"].shape == (2, 960, 1280, 3)


def test_index_and_slices_of_videos(prepared: tuple[Path, list[CarlaVideo]]) -> None:
    folder, videos = prepared
    for options in ({"index": [1]}, {"index": "[1:]"}, {"split": "dev[1:2]"}, {"split": "dev[0:2]", "index": [1]}):
        generator = carla_video_tracking(dataset_dir=folder, max_frames=1, **options)  # type: ignore[arg-type]
        assert len(generator) == 1
        _, (boxes, _) = next(generator)
        np.testing.assert_array_equal(boxes[0]["boxes"], videos[1].boxes_xyxy[:1])


@pytest.mark.parametrize(
    "options",
    [{"split": f"dev{part}"} for part in ("[2:1]", "[0:3]", "[2]", "[-1:]", "[:50%]", "[::2]")]
    + [{"index": index} for index in ([2], [], [-1], [0, 0], "[1:0]", "[0:9]", "all")],  # type: ignore[dict-item]
)
def test_refuses_what_tfds_would_take_for_something_else(
    prepared: tuple[Path, list[CarlaVideo]], options: dict[str, object]
) -> None:
    with pytest.raises(InvalidValueError) as caught:
        carla_video_tracking(dataset_dir=prepared[0], **options)  # type: ignore[arg-type]
    assert caught.value.key in options


def test_absent_data_end_in_one_message(tmp_path: Path) -> None:
    # Tests have no network, so this runs up to a refused connection.
    start = time.monotonic()
    with pytest.raises(MissingFileError) as caught:
        carla_video_tracking(split="test[0:2]", dataset_dir=tmp_path)
    assert time.monotonic() - start < 30
    error = caught.value
    assert error.key == "dataset"
    assert str(tmp_path / "carla_video_tracking_test" / "2.0.0") in error.expected
    assert "curl -LO https://" in error.fix
    assert f"tar -xzf carla_video_tracking_test_cached_2.0.0.tar.gz -C {tmp_path}" in error.fix
    assert error.__cause__ is None


def test_a_silent_host_does_not_hold_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carla, "CONNECT_TIMEOUT", 0.05)
    monkeypatch.setattr(carla, "_ask", lambda url: time.sleep(5))
    start = time.monotonic()
    with pytest.raises(MissingFileError) as caught:
        carla.require_data("dev", tmp_path)
    assert time.monotonic() - start < 3
    assert "no answer" in caught.value.got


def test_a_half_copied_folder_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "carla_video_tracking_dev" / "2.0.0"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    with pytest.raises(MissingFileError) as caught:
        carla.require_data("dev", tmp_path)
    assert str(folder) in caught.value.got


def test_leaves_to_armory_what_is_cached_or_within_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carla, "_ask", lambda url: None)
    carla.require_data("dev", tmp_path)
    monkeypatch.setattr(carla, "_ask", lambda url: "off")
    monkeypatch.setattr(carla, "_archive", lambda name: ("https://host/archive.tar.gz", 4))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "archive.tar.gz").write_bytes(b"half")
    carla.require_data("dev", tmp_path)
    (tmp_path / "cache" / "archive.tar.gz").write_bytes(b"hal")
    with pytest.raises(MissingFileError) as caught:
        carla.require_data("dev", tmp_path)
    assert "(off)" in caught.value.got


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"split": "train"}, "'dev' or 'test'"),
        ({"split": "dev+test"}, "'dev' or 'test'"),
        ({"batch_size": 2}, "1"),
        ({"framework": "tf"}, "'numpy'"),
        ({"epochs": 0}, "a whole number in [1, 1000000]"),
        ({"max_frames": 0}, "a whole number in [1, 1000000] or null"),
        ({"index": 3}, "a list of values, each a whole number in [0, 1000000] or text or null"),
        ({"max_frame": 3}, "a known key"),
    ],
)
def test_refuses_options(tmp_path: Path, options: dict[str, object], expected: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        carla_video_tracking(dataset_dir=tmp_path, **options)  # type: ignore[arg-type]
    assert (caught.value.key, caught.value.expected) == (*options, expected)


def test_refuses_options_without_names() -> None:
    with pytest.raises(InvalidValueError) as caught:
        carla_video_tracking("dev", 0)
    assert caught.value.key == "epochs"
