"""OTB-style sequences: how they are read, what the patch covers, and the batches."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from armory_skelevision.datasets import otb_person
from armory_skelevision.datasets.layouts.otb import read_boxes
from armory_skelevision.datasets.numbers import MAX_TEXT_BYTES
from armory_skelevision.datasets.otb_names import OTHER_FOLDERS, PERSON_FOLDERS
from armory_skelevision.datasets.otb_patch import place_patch
from armory_skelevision.datasets.otb_sequences import find_sequences
from armory_skelevision.validation import InvalidValueError, MissingFileError

BOXES = ["11,21,30,60", "12,21,30,60", "13,22,31,60"]


def write_sequence(
    root: Path, name: str = "Walker", truths: dict[str, str] | None = None, numbers: range = range(1, 4)
) -> Path:
    """A sequence of noise, 80 wide and 100 high, lossless."""
    folder = root / name
    (folder / "img").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in numbers:
        picture = rng.integers(0, 256, (100, 80, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "img" / f"{number:04d}.png"), picture)
    for file, text in (truths or {"groundtruth_rect.txt": "\n".join(BOXES)}).items():
        (folder / file).write_text(text)
    return folder


@pytest.mark.parametrize("separator", [",", "\t", " ", ", ", "   "])
def test_reads_boxes_however_separated(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "groundtruth_rect.txt"
    path.write_text("1,2,30,40\r\n5.5,6,7.25,8\n\n".replace(",", separator))
    boxes_xyxy = read_boxes(path)
    assert boxes_xyxy.dtype == np.float32
    np.testing.assert_array_equal(boxes_xyxy, [[0, 1, 30, 41], [4.5, 5, 11.75, 13]])


def test_two_targets_are_two_sequences(tmp_path: Path) -> None:
    second = "\n".join(f"{x} 1 5 5" for x in (41, 42, 43))
    write_sequence(tmp_path, "Jogging", {"groundtruth_rect.1.txt": "\n".join(BOXES), "groundtruth_rect.2.txt": second})
    one, two = find_sequences(tmp_path)
    assert [one.name, two.name] == ["Jogging-1", "Jogging-2"]
    assert one.images == two.images
    np.testing.assert_array_equal(two.boxes_xyxy[0], [40, 0, 45, 5])
    assert [s.name for s in find_sequences(tmp_path, ["Jogging-2"])] == ["Jogging-2"]
    assert [s.name for s in find_sequences(tmp_path, ["Jogging"])] == ["Jogging-1", "Jogging-2"]


def test_an_empty_file_for_one_of_two_targets_is_ignored(tmp_path: Path) -> None:
    write_sequence(tmp_path, "Human4", {"groundtruth_rect.1.txt": "\n", "groundtruth_rect.2.txt": "\n".join(BOXES)})
    (sequence,) = find_sequences(tmp_path)
    assert sequence.name == "Human4"


def test_frames_may_start_at_any_number(tmp_path: Path) -> None:
    write_sequence(tmp_path, "Late", numbers=range(247, 250))
    (sequence,) = find_sequences(tmp_path)
    assert [path.name for path in sequence.images] == ["0247.png", "0248.png", "0249.png"]


def test_what_are_no_images_is_passed_over(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path)
    for name in (".0004.png", "Thumbs.db", "0004.txt"):
        (folder / "img" / name).touch()
    (sequence,) = find_sequences(tmp_path)
    assert len(sequence.images) == 3


def test_takes_only_the_annotated_frames_of_diving(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path, "Diving", {"groundtruth_rect.txt": "1,1,9,9\n" * 215}, range(1))
    for number in range(1, 232):
        (folder / "img" / f"{number:04d}.jpg").touch()
    (folder / "img" / "0000.png").unlink()
    (sequence,) = find_sequences(tmp_path)
    assert len(sequence.images) == 215
    assert sequence.images[-1].name == "0215.jpg"
    for name in ("0001.jpg", "0215.jpg"):
        (folder / "img" / name).unlink()
        with pytest.raises(InvalidValueError) as caught:
            find_sequences(tmp_path)
        assert caught.value.got == f"1 missing: {int(name[:4])}"
        (folder / "img" / name).touch()


def test_takes_all_frames_of_diving_where_each_has_a_box(tmp_path: Path) -> None:
    write_sequence(tmp_path, "Diving", numbers=range(301, 304))
    (sequence,) = find_sequences(tmp_path)
    assert len(sequence.images) == 3


def test_takes_own_sequences_and_otbs_persons_only(tmp_path: Path) -> None:
    for name in ("Crossing", "Car4", "my_street"):
        write_sequence(tmp_path, name)
    assert [s.name for s in find_sequences(tmp_path)] == ["Crossing", "my_street"]
    assert [s.name for s in find_sequences(tmp_path, ["Car4"])] == ["Car4"]


def test_the_paper_has_36_folders_and_otb_98() -> None:
    assert len(PERSON_FOLDERS) == 36
    assert len(OTHER_FOLDERS) == 62
    assert not PERSON_FOLDERS & OTHER_FOLDERS


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def put(name: str, shape: tuple[int, int]) -> Callable[[Path], None]:
    return lambda folder: cv2.imwrite(str(folder / name), np.zeros((*shape, 3), np.uint8)) and None


def cut(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:5000]) and None


def put_bytes(name: str, data: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(data) and None


def pipe(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink() or os.mkfifo(folder / name)


def device(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink() or (folder / name).symlink_to("/dev/zero")


def two_targets(folder: Path) -> None:
    (folder / TRUTH).rename(folder / "groundtruth_rect.1.txt")
    shutil.copy(folder / "groundtruth_rect.1.txt", folder / "groundtruth_rect.2.txt")


TRUTH = "groundtruth_rect.txt"


@pytest.mark.parametrize(
    ("spoil", "key", "got"),
    [
        (drop("img/0002.png"), "img", "1 missing: 2"),
        (drop("img/0003.png"), TRUTH, "3 boxes for 2 images (0001.png to 0002.png)"),
        (drop(TRUTH), ".", "images only"),
        (write(TRUTH, "\n".join(BOXES[:2])), TRUTH, "2 boxes for 3 images (0001.png to 0003.png)"),
        (write(TRUTH, "\n".join(BOXES * 2)), TRUTH, "6 boxes for 3 images (0001.png to 0003.png)"),
        (write(TRUTH, "1,2,3,4\n1,2,x,4\n1,2,3,4"), f"{TRUTH}:2", "'1,2,x,4'"),
        (write(TRUTH, "1,2,3,4\n\n1,2,3,4"), f"{TRUTH}:2", "''"),
        (write(TRUTH, "1,2,3\n"), f"{TRUTH}:1", "'1,2,3'"),
        (write(TRUTH, "1,2,3,4,5\n"), f"{TRUTH}:1", "'1,2,3,4,5'"),
        (write(TRUTH, "1,2,3,4\n205,,151,17,50"), f"{TRUTH}:2", "'205,,151,17,50'"),
        (write(TRUTH, "205,,17,50"), f"{TRUTH}:1", "'205,,17,50'"),
        (write(TRUTH, "204,5 150 17"), f"{TRUTH}:1", "'204,5 150 17'"),
        (write(TRUTH, "1,2,3,4,"), f"{TRUTH}:1", "'1,2,3,4,'"),
        (write(TRUTH, "1;2;3;4"), f"{TRUTH}:1", "'1;2;3;4'"),
        (write(TRUTH, "1,2,3,4 # person"), f"{TRUTH}:1", "'1,2,3,4 # person'"),
        (write(TRUTH, "1 2 3 4 person"), f"{TRUTH}:1", "'1 2 3 4 person'"),
        (write(TRUTH, "10,20,1e39,40"), f"{TRUTH}:1", "'10,20,1e39,40'"),
        (write(TRUTH, "10,20,1e30,40"), f"{TRUTH}:1", "'10,20,1e30,40'"),
        (write(TRUTH, "10,20,1e-50,40"), f"{TRUTH}:1", "'10,20,1e-50,40'"),
        (write(TRUTH, "999999,20,1e-3,40"), f"{TRUTH}:1", "'999999,20,1e-3,40'"),
        (write(TRUTH, "20,999999,40,1e-3"), f"{TRUTH}:1", "'20,999999,40,1e-3'"),
        (write(TRUTH, "1,2,3,infinity"), f"{TRUTH}:1", "'1,2,3,infinity'"),
        (write(TRUTH, "1,2,3,1_0"), f"{TRUTH}:1", "'1,2,3,1_0'"),
        (write(TRUTH, "1,2,3,0x4"), f"{TRUTH}:1", "'1,2,3,0x4'"),
        (write(TRUTH, "1,2,3,\u0664"), f"{TRUTH}:1", "'1,2,3,\u0664'"),
        (write(TRUTH, "\n1,2,3,4"), f"{TRUTH}:1", "''"),
        (write(TRUTH, "1,2,3,4\x0c1,2,3,4"), f"{TRUTH}:1", "'1,2,3,4\\x0c1,2,3,4'"),
        (put_bytes(TRUTH, b"1,2,3,4\xe9"), TRUTH, "byte 0xe9"),
        (put_bytes(TRUTH, "1,2,3,4".encode("utf-16-le")), f"{TRUTH}:1", "'1\\x00,"),
        (write("img/99999999999999999999.png", ""), "img", "99999999999999999995 missing: 4"),
        (write("img/1700000000000000000.png", ""), "img", "1699999999999999996 missing: 4"),
        (write("img/\u0664.png", ""), "img/\u0664.png", "\u0664.png"),
        (write("groundtruth_rect.1.txt", "\n".join(BOXES)), "..", "several called Walker-1"),
        (lambda folder: shutil.copytree(folder, folder.with_name("Walker-1")) and two_targets(folder), "..", "several"),
        (pipe("img/0002.png"), "img/0002.png", "a pipe"),
        (pipe(TRUTH), TRUTH, "a pipe"),
        (device("img/0002.png"), "img/0002.png", "a pipe"),
        (device(TRUTH), TRUTH, "a pipe"),
        (write(TRUTH, "1,2,3,nan\n"), f"{TRUTH}:1", "'1,2,3,nan'"),
        (write(TRUTH, "1,2,0,4\n"), f"{TRUTH}:1", "'1,2,0,4'"),
        (write(TRUTH, "1,2,5,-4\n"), f"{TRUTH}:1", "'1,2,5,-4'"),
        (write(TRUTH, ""), TRUTH, "an empty file"),
        (write("img/cover.png", ""), "img/cover.png", "cover.png"),
        (write("img/0002.jpg", ""), "img/0002.png", "0002.jpg for frame 2, too"),
        (put("img/0002.png", (50, 80)), "img/0002.png", "80×50"),
        (cut("img/0002.png"), "img/0002.png", "a damaged one (image file is truncated"),
        (write("img/0002.png", "text"), "img/0002.png", "another file"),
    ],
)
def test_names_what_is_wrong_and_leaves_nothing_behind(
    tmp_path: Path, spoil: Callable[[Path], None], key: str, got: str
) -> None:
    folder = write_sequence(tmp_path / "otb")
    spoil(folder)
    with pytest.raises(InvalidValueError) as caught:
        otb_person(root=tmp_path / "otb", dataset_dir=tmp_path / "datasets")
    assert caught.value.key == str(folder / key if key != ".." else folder.parent)
    assert caught.value.got.startswith(got)
    assert not list((tmp_path / "datasets").rglob("*.tfrecord*"))


def test_names_the_places_of_a_missing_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingFileError) as caught:
        otb_person(dataset_dir="datasets")
    assert caught.value.key == "root"
    assert str(tmp_path / "otb") in caught.value.expected
    assert str(tmp_path / "datasets" / "otb") in caught.value.expected
    (tmp_path / "otb" / "notes").mkdir(parents=True)
    with pytest.raises(MissingFileError) as caught:
        otb_person(dataset_dir="datasets")
    assert (caught.value.key, caught.value.got) == (str(tmp_path / "otb"), "none")
    write_sequence(tmp_path / "otb")
    with pytest.raises(MissingFileError) as caught:
        otb_person(dataset_dir="datasets", names=["Walker", "Other"])
    assert (caught.value.expected, caught.value.got) == ("the sequences Other", "only Walker")
    with pytest.raises(MissingFileError) as caught:
        otb_person(dataset_dir="datasets", names="paper")
    assert caught.value.expected.startswith("the sequences Basketball, BlurBody")


@pytest.mark.parametrize(
    ("options", "expected", "got"),
    [
        ({"split": "dev"}, "'test'", "'dev'"),
        ({"names": "Walker"}, "a list of values, each text or 'paper' or null", "'Walker'"),
        ({"padding": 3}, "a known key", "an unknown one"),
        ({"max_frames": 2.5}, "a whole number in [1, 1000000] or null", "2.5"),
    ],
)
def test_refuses_options(tmp_path: Path, options: dict[str, object], expected: str, got: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        otb_person(root=tmp_path, dataset_dir=tmp_path, **options)  # type: ignore[arg-type]
    assert (caught.value.key, caught.value.expected, caught.value.got) == (*options, expected, got)


def test_patch_covers_all_but_margin_person_and_first_frame() -> None:
    boxes_xyxy = np.array([[50, 50, 60, 60], [50.5, 60, 70, 90], [-40, 10, -30, 20]], dtype=np.float32)
    patch = place_patch(boxes_xyxy, height=200, width=100)
    assert patch["shading"] is False
    np.testing.assert_array_equal(patch["gs_coords"], [[[10, 20], [90, 20], [90, 180], [10, 180]]] * 3)
    expected = np.zeros((200, 100), np.uint8)
    expected[20:180, 10:90] = 1
    masks = patch["masks"]
    assert masks.dtype == np.uint8
    assert not masks[0].any()
    np.testing.assert_array_equal(masks[2], np.repeat(expected[..., None], 3, axis=-1))
    expected[35:115, 25:95] = 0
    np.testing.assert_array_equal(masks[1, ..., 0], expected)


def test_prepares_again_when_the_source_changes_and_only_then(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "otb")
    options = {"root": tmp_path / "otb", "dataset_dir": tmp_path / "datasets"}

    def prepared() -> list[Path]:
        return sorted((tmp_path / "datasets" / "otb_person").glob("*/*/*.tfrecord*"))

    otb_person(**options)
    (record,) = prepared()
    stamp = record.stat().st_mtime_ns
    generator = otb_person(**options)
    assert [path.stat().st_mtime_ns for path in prepared()] == [stamp]
    first = next(generator)[0]

    cv2.imwrite(str(folder / "img" / "0002.png"), np.full((100, 80, 3), 255, np.uint8))
    x, _ = next(otb_person(**options))
    assert len(prepared()) == 2
    assert (x[0, 1] == 1).all()
    np.testing.assert_array_equal(x[0, 0], first[0, 0])

    (folder / TRUTH).write_text("\n".join(BOXES).replace("11,21", "12,21"))
    _, (boxes, _) = next(otb_person(max_frames=2, **options))
    np.testing.assert_array_equal(boxes[0]["boxes"], [[11, 20, 41, 80], [11, 20, 41, 80]])


def test_real_sequences_come_out_as_their_files_are(tmp_path: Path, shared_data: Path) -> None:
    root = shared_data / "otb"
    generator = otb_person(root=root, dataset_dir=tmp_path, max_frames=20)
    assert len(generator) == 2
    assert generator.context.frame_rate == 30.0
    for name, box_xyxy in {"Crossing": (204, 150, 221, 200), "Human7": (109, 110, 146, 226)}.items():
        x, (boxes, metadata) = next(generator)
        assert x.dtype == np.float32
        assert x.shape[:2] == (1, 20)
        expected = cv2.imread(str(root / name / "img" / "0020.jpg"))[..., ::-1]
        np.testing.assert_array_equal(np.round(x[0, 19] * 255), expected)
        assert boxes[0]["boxes"].dtype == np.float32
        np.testing.assert_array_equal(boxes[0]["boxes"][0], box_xyxy)
        assert metadata["masks"].shape == x.shape[1:]
        assert metadata["masks"][1:].any(axis=(1, 2, 3)).all()


def test_frames_of_any_kind_are_as_opencv_shows_them(tmp_path: Path) -> None:
    """Grey and in colour, of 8 and of 16 bits, in one video."""
    folder = write_sequence(tmp_path / "otb")
    rng = np.random.default_rng(1)
    frames = [rng.integers(0, 65536, (100, 80)), rng.integers(0, 65536, (100, 80, 3)), rng.integers(0, 256, (100, 80))]
    for number, (frame, kind) in enumerate(zip(frames, (np.uint16, np.uint16, np.uint8), strict=True), start=1):
        cv2.imwrite(str(folder / f"img/{number:04d}.png"), frame.astype(kind))
    x, _ = next(otb_person(root=tmp_path / "otb", dataset_dir=tmp_path))
    shown = [cv2.imread(str(folder / f"img/{number:04d}.png"))[..., ::-1] for number in (1, 2, 3)]
    np.testing.assert_array_equal(np.round(x[0] * 255), shown)
    assert 100 < shown[0].mean() < 150


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_reads_ground_truth_in_unicode(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / TRUTH
    path.write_bytes("1,2,30,40\r\n5,6,7,8\r9,9,1,1\r".encode(encoding))
    np.testing.assert_array_equal(read_boxes(path), [[0, 1, 30, 41], [4, 5, 11, 13], [8, 8, 9, 9]])


def test_the_size_of_a_ground_truth_is_bounded(tmp_path: Path) -> None:
    with (tmp_path / TRUTH).open("wb") as file:
        file.truncate(MAX_TEXT_BYTES + 1)
    with pytest.raises(InvalidValueError) as caught:
        read_boxes(tmp_path / TRUTH)
    assert caught.value.expected == f"at most {MAX_TEXT_BYTES} bytes"


def test_sequences_are_named_whatever_their_folders_are_called(tmp_path: Path) -> None:
    for name in ("Crossing", "night rain", "Cafe"):
        write_sequence(tmp_path / "otb", name)
    (tmp_path / "otb" / "Cafe").rename(tmp_path / "otb" / os.fsdecode(b"Caf\xe9"))
    generator = otb_person(root=tmp_path / "otb", dataset_dir=tmp_path)
    names = [metadata["name"] for _, (_, metadata) in generator]
    assert names == ["Caf\\xe9", "Crossing", "night rain"]
    folder = tmp_path / "otb" / os.fsdecode(b"Caf\xe9")
    (folder / TRUTH).write_text("1,2,3,x")
    with pytest.raises(InvalidValueError) as caught:
        otb_person(root=tmp_path / "otb", dataset_dir=tmp_path)
    assert caught.value.key == f"{tmp_path}/otb/Caf\\xe9/{TRUTH}:1"


def test_shuffled_sequences_are_the_same_each_time(tmp_path: Path) -> None:
    for name in "ABCDEF":
        write_sequence(tmp_path / "otb", name)
    options = {"root": tmp_path / "otb", "dataset_dir": tmp_path, "shuffle_files": True}
    names = ["".join(metadata["name"] for _, (_, metadata) in otb_person(**options)) for _ in range(2)]
    assert names[0] == names[1] != "ABCDEF"
    assert sorted(names[0]) == list("ABCDEF")


def test_a_slice_that_runs_backwards_is_refused(tmp_path: Path) -> None:
    for name in "ABC":
        write_sequence(tmp_path / "otb", name)
    for options in ({"split": "test[2:1]"}, {"split": "test[0:4]"}, {"index": [3]}, {"index": "[3:]"}):
        with pytest.raises(InvalidValueError) as caught:
            otb_person(root=tmp_path / "otb", dataset_dir=tmp_path / "datasets", **options)  # type: ignore[arg-type]
        assert caught.value.key in options
        assert not list((tmp_path / "datasets").glob("otb_person"))


def test_turned_frames_are_refused(tmp_path: Path) -> None:
    folder = write_sequence(tmp_path / "otb")
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(folder / "img/0002.png").save(folder / "img/0002.png", exif=exif)
    with pytest.raises(InvalidValueError) as caught:
        otb_person(root=tmp_path / "otb", dataset_dir=tmp_path)
    assert (caught.value.key, caught.value.got) == (str(folder / "img/0002.png"), "EXIF orientation 3")


@pytest.mark.parametrize("line", [1, 3])
@pytest.mark.parametrize("box", ["81,1,10,10", "1,101,10,10", "-9,1,10,10", "1,-9,10,10"])
def test_a_target_outside_of_its_image_is_refused(tmp_path: Path, box: str, line: int) -> None:
    lines = list(BOXES)
    lines[line - 1] = box
    truth = write_sequence(tmp_path / "otb", truths={"groundtruth_rect.txt": "\n".join(lines)})
    with pytest.raises(InvalidValueError) as caught:
        otb_person(root=tmp_path / "otb", dataset_dir=tmp_path / "prepared")
    assert caught.value.key == f"{truth / 'groundtruth_rect.txt'}:{line}"


def test_a_target_partly_outside_or_after_the_frames_that_are_used_is_accepted(tmp_path: Path) -> None:
    lines = ["80,1,10,10", "-8,1,10,10", "1,-8,10,10", "1,100,10,10", "81,1,10,10"]
    truth = {"groundtruth_rect.txt": "\n".join(lines)}
    write_sequence(tmp_path / "otb", truths=truth, numbers=range(1, 6))
    _, (boxes, _) = next(otb_person(root=tmp_path / "otb", dataset_dir=tmp_path / "prepared", max_frames=4))
    inside = [[79, 0, 89, 10], [-9, 0, 1, 10], [0, -9, 10, 1], [0, 99, 10, 109]]
    np.testing.assert_array_equal(boxes[0]["boxes"], inside)
