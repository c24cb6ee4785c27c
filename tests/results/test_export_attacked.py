"""Attacked videos as data sets: read back by this package's own readers, and by the layouts' published rules."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from handmade_results import make_config, make_results, write_result
from PIL import Image

from armory_skelevision.datasets.layouts import read_sequence
from armory_skelevision.datasets.otb_sequences import find_sequences
from armory_skelevision.io.images import read_image
from armory_skelevision.results.export.attacked import export_attacked
from armory_skelevision.results.export.layouts import LAYOUTS
from armory_skelevision.validation import InvalidValueError, MissingFileError, StructuredError

SIZE = (40, 30)
TRUTHS = {
    "Crossing": [[4.0, 2.0, 14.5, 20.0]] * 3,
    "Human7": [[-2.0, 5.0, 9.0, 29.0], [0.0] * 4, [1.0, 5.0, 9.0, 29.0]],
}


def make_frame(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def write_exported(folder: Path, side: str = "adversarial") -> Path:
    """A result of a run that exported the frames of both its videos."""
    results = make_results((), (0.5, 0.5)) if side == "adversarial" else make_results((0.5, 0.5))
    results |= {f"{side}_true_boxes": [[truth] for truth in TRUTHS.values()], "video_names": [*TRUTHS]}
    for video in range(len(TRUTHS)):
        name = f"batch_{video}_ex_0_scenario.{'x_adv' if side == 'adversarial' else 'x'}"
        (folder / "saved_samples" / name).mkdir(parents=True)
        for number in range(3):
            make_frame(10 * video + number).save(folder / "saved_samples" / name / f"{name}_frame_{number:04d}.png")
    return write_result(folder / "result.json", results, make_config())


def frame_of(video: int, number: int) -> np.ndarray:
    return np.asarray(make_frame(10 * video + number))


def test_otb_is_read_back_as_it_was(tmp_path: Path) -> None:
    done = export_attacked(write_exported(tmp_path / "run"), "otb", tmp_path / "out")
    assert done[1:] == (2, 6, 0, "")
    (sequence,) = find_sequences(tmp_path / "out", ["Crossing"])
    assert sequence.boxes_xyxy.tolist() == TRUTHS["Crossing"]
    assert [path.name for path in sequence.images] == ["0001.jpg", "0002.jpg", "0003.jpg"]
    for number, path in enumerate(sequence.images):
        assert np.array_equal(read_image(path), frame_of(0, number))
    assert (tmp_path / "out" / "Crossing" / "groundtruth_rect.txt").read_text().startswith("5.0,3.0,10.5,18.0\n")
    assert (tmp_path / "out" / "Human7" / "groundtruth_rect.txt").read_text().splitlines()[1] == "0.0,0.0,0.0,0.0"


@pytest.mark.parametrize(("count", "wanted"), [(9999, "img/0007.jpg"), (10000, "img/00007.jpg")])
def test_names_of_images_sort_as_their_numbers(count: int, wanted: str) -> None:
    assert LAYOUTS["otb"].image(7, count) == wanted
    assert LAYOUTS["vot"].image(7, count) == "color/00000007.jpg"


def test_pysots_list_of_otb_counts_from_0(tmp_path: Path) -> None:
    export_attacked(write_exported(tmp_path / "run"), "otb", tmp_path / "out")
    listed = json.loads((tmp_path / "out" / "OTB.json").read_text())
    assert listed["Crossing"]["init_rect"] == [4, 2, 10.5, 18]
    assert [len(video["gt_rect"]) for video in listed.values()] == [3, 3]
    assert all((tmp_path / "out" / name).is_file() for video in listed.values() for name in video["img_names"])


def test_got10k_has_its_flags(tmp_path: Path) -> None:
    export_attacked(write_exported(tmp_path / "run"), "got10k", tmp_path / "out")
    root = tmp_path / "out" / "val"
    assert (root / "list.txt").read_text() == "Crossing\nHuman7\n"
    assert [path.name for path in sorted((root / "Human7").glob("*.jpg"))] == [f"{n:08d}.jpg" for n in (1, 2, 3)]
    assert np.loadtxt(root / "Human7" / "groundtruth.txt", delimiter=",").tolist() == [
        [-2, 5, 11, 24],
        [0, 0, 0, 0],
        [1, 5, 8, 24],
    ]
    flags = {name: (root / "Human7" / f"{name}.label").read_text() for name in ("absence", "cover", "cut_by_image")}
    assert flags == {"absence": "0\n1\n0\n", "cover": "8\n0\n8\n", "cut_by_image": "1\n0\n0\n"}
    assert "resolution: (40, 30)" in (root / "Human7" / "meta_info.ini").read_text().splitlines()


def test_vot_has_a_sequence_file_and_nan_where_the_target_is_absent(tmp_path: Path) -> None:
    export_attacked(write_exported(tmp_path / "run"), "vot", tmp_path / "out")
    folder = tmp_path / "out" / "Human7"
    assert (folder / "groundtruth.txt").read_text() == "-2.0,5.0,11.0,24.0\nnan,nan,nan,nan\n1.0,5.0,8.0,24.0\n"
    known = dict(line.split("=") for line in (folder / "sequence").read_text().splitlines())
    assert (known["width"], known["height"], known["length"], known["name"]) == ("40", "30", "3", "Human7")
    assert (folder / (known["channels.color"] % 3)).is_file()
    assert (tmp_path / "out" / "list.txt").read_text() == "Crossing\nHuman7\n"


def test_what_was_exported_is_said(tmp_path: Path) -> None:
    export_attacked(write_exported(tmp_path / "run"), "vot", tmp_path / "out")
    source = json.loads((tmp_path / "out" / "source.json").read_text())
    assert source["side"] == "adversarial"
    assert source["config"] == make_config()


def test_jpeg_is_jpeg_and_its_loss_is_known(tmp_path: Path) -> None:
    done = export_attacked(write_exported(tmp_path / "run"), "otb", tmp_path / "out", jpeg=90)
    path = tmp_path / "out" / "Human7" / "img" / "0003.jpg"
    assert Image.open(path).format == "JPEG"
    changes = [
        int(
            abs(
                read_image(path.parents[2] / name / "img" / f"{number + 1:04d}.jpg")
                - frame_of(video, number).astype(int)
            ).max()
        )
        for video, name in enumerate(TRUTHS)
        for number in range(3)
    ]
    assert done.largest_change == max(changes) > 0


def test_benign_videos_are_exported_likewise(tmp_path: Path) -> None:
    path = write_exported(tmp_path / "run", "benign")
    with pytest.raises(InvalidValueError):
        export_attacked(path, "otb", tmp_path / "out")
    export_attacked(path, "otb", tmp_path / "out", side="benign")
    assert np.array_equal(read_image(tmp_path / "out" / "Human7" / "img" / "0001.jpg"), frame_of(1, 0))


def samples_of(tmp_path: Path) -> Path:
    return tmp_path / "run" / "saved_samples" / "batch_1_ex_0_scenario.x_adv"


def delete_frame(tmp_path: Path) -> None:
    sorted(samples_of(tmp_path).iterdir())[1].unlink()


def add_frame(tmp_path: Path) -> None:
    make_frame(0).save(samples_of(tmp_path) / "batch_1_ex_0_scenario.x_adv_frame_0003.png")


def delete_all(tmp_path: Path) -> None:
    (tmp_path / "run" / "saved_samples").rename(tmp_path / "elsewhere")


def replace_frame(tmp_path: Path, data: bytes) -> None:
    sorted(samples_of(tmp_path).iterdir())[2].write_bytes(data)


def cut_frame(tmp_path: Path) -> None:
    replace_frame(tmp_path, sorted(samples_of(tmp_path).iterdir())[2].read_bytes()[:200])


def grow_frame(tmp_path: Path) -> None:
    stream = io.BytesIO()
    make_frame(0, (50, 30)).save(stream, "png")
    replace_frame(tmp_path, stream.getvalue())


def link_frame(tmp_path: Path) -> None:
    frame = sorted(samples_of(tmp_path).iterdir())[2]
    frame.rename(tmp_path / "secret.png")
    frame.symlink_to(tmp_path / "secret.png")


@pytest.mark.parametrize("damage", [delete_frame, add_frame, delete_all, cut_frame, grow_frame, link_frame])
def test_nothing_is_written_if_a_frame_is_wrong(tmp_path: Path, damage: object) -> None:
    path = write_exported(tmp_path / "run")
    damage(tmp_path)
    with pytest.raises(StructuredError) as caught:
        export_attacked(path, "otb", tmp_path / "out")
    assert not [each for each in tmp_path.iterdir() if each.name.startswith((".", "out"))]
    if damage is delete_all:
        assert isinstance(caught.value, MissingFileError)
        assert "export_batches" in caught.value.fix


def test_a_filled_folder_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").touch()
    with pytest.raises(InvalidValueError):
        export_attacked(write_exported(tmp_path / "run"), "otb", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_several_runs_are_refused(tmp_path: Path) -> None:
    for name in "ab":
        write_exported(tmp_path / "runs" / name)
    with pytest.raises(InvalidValueError):
        export_attacked(tmp_path / "runs", "otb", tmp_path / "out")


@pytest.mark.parametrize("layout", ["otb", "got10k", "vot"])
def test_each_layout_is_read_back_with_its_absent_target(tmp_path: Path, layout: str) -> None:
    export_attacked(write_exported(tmp_path / "run"), layout, tmp_path / "out")
    sequence = read_sequence(tmp_path / "out" / LAYOUTS[layout].folder, layout, "Human7")
    assert sequence.boxes_xyxy.tolist() == TRUTHS["Human7"]


def test_a_folder_of_track_is_exported(tmp_path: Path) -> None:
    truth = TRUTHS["Crossing"]
    results = make_results((0.5,), (0.5,), video_names=["street"])
    results |= {f"{side}_true_boxes": [[truth]] for side in ("benign", "adversarial")}
    config = {"dataset": {"name": "street", "truth": "the boxes of the benign run, but for the first"}}
    path = write_result(tmp_path / "run" / "result.json", results, config)
    (tmp_path / "run" / "attacked").mkdir()
    for number in range(3):
        make_frame(number).save(tmp_path / "run" / "attacked" / f"{number + 1:08d}.png")
    done = export_attacked(path.parent, "otb", tmp_path / "out")
    assert done[1:] == (1, 3, 0, "the boxes of the benign run, but for the first")
    for number in range(3):
        image = tmp_path / "out" / "street" / "img" / f"{number + 1:04d}.jpg"
        assert np.array_equal(read_image(image), frame_of(0, number))
    with pytest.raises(MissingFileError) as caught:
        export_attacked(path, "otb", tmp_path / "benign", side="benign")
    assert "the video itself" in caught.value.fix
    (tmp_path / "run" / "attacked" / "00000002.png").unlink()
    with pytest.raises(MissingFileError):
        export_attacked(path, "otb", tmp_path / "short")
