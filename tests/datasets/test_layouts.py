"""Each benchmark's layout is read as it is published; what is broken in it is refused by name."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sequence_data import BOXES_XYWH, FIRST, IMAGES, NAMES, TRUTHS, lines, write_image, write_layout, write_mask

from armory_skelevision.boxes import LEFT_OUT_XYXY, LOST_XYXY
from armory_skelevision.datasets import otb_sequences
from armory_skelevision.datasets.layouts import LAYOUTS, find_sequences, read_sequence, recognise
from armory_skelevision.datasets.layouts.uav123 import PARTS
from armory_skelevision.validation import InvalidValueError, MissingFileError

BOXES_XYXY = [[x, y, x + w, y + h] for x, y, w, h in BOXES_XYWH]


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda root: (root / name).write_text(text)


def drop(name: str) -> Callable[[Path], object]:
    return lambda root: (root / name).unlink()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_sequence_is_read_as_it_is_published(tmp_path: Path, layout: str) -> None:
    write_layout(tmp_path, layout)
    assert list(find_sequences(tmp_path, layout)) == [NAMES[layout]]
    sequence = read_sequence(tmp_path, layout, NAMES[layout])
    assert sequence.name == NAMES[layout] and sequence.is_annotated
    first = FIRST.get(layout, 1)
    assert sequence.images == tuple(tmp_path / (IMAGES[layout] % number) for number in range(first, first + 4))
    expected = np.round(BOXES_XYXY) if layout == "davis" else BOXES_XYXY  # masks are whole pixels
    np.testing.assert_array_equal(sequence.boxes_xyxy, expected)
    assert sequence.boxes_xyxy.dtype == np.float32


@pytest.mark.parametrize("layout", LAYOUTS)
def test_eleven_images_are_in_the_order_of_their_numbers(tmp_path: Path, layout: str) -> None:
    write_layout(tmp_path, layout)
    first = FIRST.get(layout, 1)
    for number in range(first + 4, first + 11):
        write_image(tmp_path / (IMAGES[layout] % number))
        if layout == "davis":
            write_mask(tmp_path / f"Annotations/480p/bear/{number:05d}.png", {1: (3, 3, 9, 9)})
    if layout in TRUTHS:
        rows = [(3, 3, 9, number + 1) for number in range(11)]
        (tmp_path / TRUTHS[layout]).write_text(lines(rows))
    for path in (tmp_path / "person/person-1").glob("*[wn].txt"):
        path.write_text(",".join("0" * 11))
    for path in tmp_path.rglob("*.label"):
        path.write_text("1\n" * 11 if path.stem == "cover" else "0\n" * 11)
    sequence = read_sequence(tmp_path, layout, NAMES[layout])
    assert sequence.images == tuple(tmp_path / (IMAGES[layout] % number) for number in range(first, first + 11))


def test_got10k_leaves_out_frames_without_any_visible_part(tmp_path: Path) -> None:
    folder = write_layout(tmp_path, "got10k") / NAMES["got10k"]
    (folder / "cover.label").write_text("8\n0\n1\n0\n")
    (folder / "absence.label").write_text("0\n1\n0\n0\n")
    (folder / "meta_info.ini").write_text("[METAINFO]\nanno_fps: 5Hz\n")
    sequence = read_sequence(tmp_path, "got10k", folder.name)
    assert (sequence.boxes_xyxy == LEFT_OUT_XYXY).all(axis=1).tolist() == [False, True, False, True]
    assert sequence.frame_rate == 5
    (folder / "meta_info.ini").unlink()
    assert read_sequence(tmp_path, "got10k", folder.name).frame_rate == 10


@pytest.mark.parametrize("layout", ["got10k", "trackingnet"])
def test_withheld_truth_is_a_first_box_only(tmp_path: Path, layout: str) -> None:
    write_layout(tmp_path, layout)
    (tmp_path / TRUTHS[layout]).write_text(lines(BOXES_XYWH[:1]))
    for path in tmp_path.rglob("*.label"):
        path.unlink()
    sequence = read_sequence(tmp_path, layout, NAMES[layout])
    assert len(sequence.boxes_xyxy) == len(sequence.images) == 4
    assert not sequence.is_annotated
    np.testing.assert_array_equal(sequence.boxes_xyxy[0], BOXES_XYXY[0])


def test_lasot_counts_hidden_targets_as_lost(tmp_path: Path) -> None:
    folder = write_layout(tmp_path, "lasot") / "person/person-1"
    (folder / "full_occlusion.txt").write_text("0,1,0,0")
    (folder / "out_of_view.txt").write_text("0,0,0,1")
    sequence = read_sequence(tmp_path, "lasot", "person-1")
    assert (sequence.boxes_xyxy == LOST_XYXY).all(axis=1).tolist() == [False, True, False, True]


def test_lasot_may_have_no_folders_of_categories(tmp_path: Path) -> None:
    write_layout(tmp_path, "lasot")
    assert list(find_sequences(tmp_path / "person", "lasot")) == ["person-1"]
    shutil.copytree(tmp_path / "person/person-1", tmp_path / "people/person-1")
    with pytest.raises(InvalidValueError) as caught:
        find_sequences(tmp_path, "lasot")
    assert caught.value.got == "several called person-1"


def test_uav123_gives_absent_targets_an_empty_box_where_they_were(tmp_path: Path) -> None:
    write_layout(tmp_path, "uav123")
    absent = "NaN,NaN,NaN,NaN\n"
    (tmp_path / TRUTHS["uav123"]).write_text(lines(BOXES_XYWH[:1]) + absent + absent + lines(BOXES_XYWH[3:]))
    boxes_xyxy = read_sequence(tmp_path, "uav123", "person1").boxes_xyxy
    np.testing.assert_array_equal(boxes_xyxy, [BOXES_XYXY[0], [20, 23, 20, 23], [20, 23, 20, 23], BOXES_XYXY[3]])


def test_uav123_sequences_share_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 10):
        write_image(tmp_path / f"data_seq/UAV123/bird1/{number:06d}.jpg")
    (tmp_path / "anno/UAV123").mkdir(parents=True)
    monkeypatch.setitem(PARTS, "bird1_1", ("bird1", 1, 3))
    monkeypatch.setitem(PARTS, "bird1_2", ("bird1", 5, 8))
    (tmp_path / "anno/UAV123/bird1_1.txt").write_text(lines(BOXES_XYWH[:3]))
    (tmp_path / "anno/UAV123/bird1_2.txt").write_text(lines(BOXES_XYWH))
    names = [[path.name for path in read_sequence(tmp_path, "uav123", f"bird1_{part}").images] for part in (1, 2)]
    assert names == [[f"{number:06d}.jpg" for number in numbers] for numbers in ((1, 2, 3), (5, 6, 7, 8))]


def test_uav123_has_123_sequences() -> None:
    # 72 have a folder of their own; the others share 19
    assert len(PARTS) == 123 - 72 and len({folder for folder, _, _ in PARTS.values()}) == 19
    assert PARTS["bird1_2"] == ("bird1", 775, 1477) and PARTS["person14_3"] == ("person14", 1813, 2923)
    for (folder, first, last), (next_folder, next_first, _) in itertools.pairwise(PARTS.values()):
        assert first < last and (folder != next_folder or last <= next_first)


def test_vot_takes_the_box_around_a_polygon_and_leaves_out_frames_without_one(tmp_path: Path) -> None:
    truth = write_layout(tmp_path, "vot") / TRUTHS["vot"]
    truth.write_text("30,10,40,20,30,30,20,20\n1,2,3,4\nnan,nan,nan,nan\nnan,nan,nan,nan,nan,nan,nan,nan\n")
    boxes_xyxy = read_sequence(tmp_path, "vot", "ants1").boxes_xyxy
    np.testing.assert_array_equal(boxes_xyxy, [[20, 10, 40, 30], [1, 2, 4, 6], LEFT_OUT_XYXY, LEFT_OUT_XYXY])


def test_vot_of_the_first_years_has_its_images_beside_the_truth(tmp_path: Path) -> None:
    folder = write_layout(tmp_path, "vot") / "ants1"
    for path in (folder / "color").iterdir():
        path.rename(folder / path.name)
    (folder / "color").rmdir()
    assert [path.parent for path in read_sequence(tmp_path, "vot", "ants1").images] == [folder] * 4


def test_davis_has_a_sequence_for_each_object(tmp_path: Path) -> None:
    write_layout(tmp_path, "davis")
    masks = tmp_path / "Annotations/480p/bear"
    write_mask(masks / "00000.png", {1: (10, 8, 20, 30), 2: (40, 5, 6, 7), 255: (0, 0, 2, 2)})
    write_mask(masks / "00001.png", {1: (11, 8, 20, 30)})
    assert list(find_sequences(tmp_path, "davis")) == ["bear-1", "bear-2"]
    boxes_xyxy = read_sequence(tmp_path, "davis", "bear-2").boxes_xyxy
    np.testing.assert_array_equal(boxes_xyxy, [[40, 5, 46, 12], *[LEFT_OUT_XYXY] * 3])


@pytest.mark.parametrize("layout", ["otb", "davis"])
def test_two_sequences_of_one_name_are_refused(tmp_path: Path, layout: str) -> None:
    write_layout(tmp_path, layout)
    if layout == "otb":
        shutil.copytree(tmp_path / "Crossing", tmp_path / "Crossing-1")
        truth = tmp_path / TRUTHS["otb"]
        shutil.copy(truth, truth.with_name("groundtruth_rect.2.txt"))
        name = "Crossing-1"
    else:
        shutil.copytree(tmp_path / "Annotations/480p/bear", tmp_path / "Annotations/480p/bear-1")
        write_mask(tmp_path / "Annotations/480p/bear/00000.png", {1: (10, 8, 20, 30), 2: (40, 5, 6, 7)})
        name = "bear-1"
    with pytest.raises(InvalidValueError) as caught:
        find_sequences(tmp_path, layout)
    assert (caught.value.key, caught.value.got) == (str(tmp_path), f"several called {name}")


def test_davis_2016_marks_its_only_object_by_255(tmp_path: Path) -> None:
    write_layout(tmp_path, "davis")
    for number, (x, y, w, h) in enumerate(BOXES_XYWH):
        write_mask(tmp_path / f"Annotations/480p/bear/{number:05d}.png", {255: (round(x), y, w, h)})
    np.testing.assert_array_equal(read_sequence(tmp_path, "davis", "bear").boxes_xyxy, np.round(BOXES_XYXY))


TRUTH_LAYOUTS = sorted(TRUTHS)


@pytest.mark.parametrize("layout", TRUTH_LAYOUTS)
@pytest.mark.parametrize(
    ("text", "line", "got"),
    [
        ("10,8,20,30\n" * 3, "", "3 boxes for 4 images"),
        ("10,8,20,30\n" * 5, "", "5 boxes for 4 images"),
        ("", "", "an empty file"),
        ("10,8,20,30\n10,8,20\n", ":2", "'10,8,20'"),
        ("10,8,20,30\n1,2,3,4,5,6\n", ":2", "'1,2,3,4,5,6'"),
        ("10,8,20,30\n10,8,20,x\n", ":2", "'10,8,20,x'"),
        ("10,8,20,30\n10,8,nan,30\n", ":2", "'10,8,nan,30'"),
        ("10,8,20,30\n10,8,inf,30\n", ":2", "'10,8,inf,30'"),
        ("10,8,20,30\n10,8,2e7,30\n", ":2", "'10,8,2e7,30'"),
        ("10,8,20,30\n10,8,0,30\n" * 2, ":2", ""),
    ],
)
def test_truths_that_are_wrong_are_refused_by_their_line(
    tmp_path: Path, layout: str, text: str, line: str, got: str
) -> None:
    path = write_layout(tmp_path, layout) / TRUTHS[layout]
    path.write_text(text)
    for flags in ("full_occlusion.txt", "out_of_view.txt"):
        if layout == "lasot":
            (path.parent / flags).write_text(",".join("0" * len(text.splitlines())))
    with pytest.raises(InvalidValueError) as caught:
        read_sequence(tmp_path, layout, NAMES[layout])
    assert caught.value.key == f"{path}{line}"
    assert caught.value.got.startswith(got)


@pytest.mark.parametrize("layout", [each for each in TRUTH_LAYOUTS if each not in ("uav123", "vot")])
def test_nan_is_no_box_where_no_benchmark_writes_it(tmp_path: Path, layout: str) -> None:
    path = write_layout(tmp_path, layout) / TRUTHS[layout]
    path.write_text(lines(BOXES_XYWH[:3]) + "nan,nan,nan,nan\n")
    with pytest.raises(InvalidValueError) as caught:
        read_sequence(tmp_path, layout, NAMES[layout])
    assert caught.value.key == f"{path}:4"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_missing_images_are_named(tmp_path: Path, layout: str) -> None:
    write_layout(tmp_path, layout)
    images = tmp_path / IMAGES[layout]
    number = FIRST.get(layout, 1) + 1
    (tmp_path / (IMAGES[layout] % number)).unlink()
    with pytest.raises(InvalidValueError) as caught:
        read_sequence(tmp_path, layout, NAMES[layout])
    assert (caught.value.key, caught.value.got) == (str(images.parent), f"1 missing: {number}")


GOT, LASOT = NAMES["got10k"], "person/person-1"


@pytest.mark.parametrize(
    ("layout", "spoil", "key", "got"),
    [
        ("got10k", drop(f"{GOT}/cover.label"), f"{GOT}/cover.label", "none"),
        ("got10k", drop(f"{GOT}/absence.label"), f"{GOT}/absence.label", "none"),
        ("got10k", write(f"{GOT}/cover.label", "8\n" * 3), f"{GOT}/cover.label", "3"),
        ("got10k", write(f"{GOT}/absence.label", "0\n" * 5), f"{GOT}/absence.label", "5"),
        ("got10k", write(f"{GOT}/cover.label", "8\n9\n8\n8\n"), f"{GOT}/cover.label:2", "'9'"),
        ("got10k", write(f"{GOT}/absence.label", "0\n0\n2\n0\n"), f"{GOT}/absence.label:3", "'2' as flag 3"),
        ("got10k", write(f"{GOT}/cover.label", "0\n8\n8\n8\n"), f"{GOT}/groundtruth.txt:1", "none"),
        ("got10k", write(f"{GOT}/meta_info.ini", "anno_fps: 0Hz"), f"{GOT}/meta_info.ini:1", "'anno_fps: 0Hz'"),
        ("got10k", write(f"{GOT}/meta_info.ini", "anno_fps: fast"), f"{GOT}/meta_info.ini:1", "'anno_fps: fast'"),
        ("lasot", drop(f"{LASOT}/full_occlusion.txt"), f"{LASOT}/full_occlusion.txt", "none"),
        ("lasot", drop(f"{LASOT}/out_of_view.txt"), f"{LASOT}/out_of_view.txt", "none"),
        ("lasot", write(f"{LASOT}/out_of_view.txt", "0,0,0"), f"{LASOT}/out_of_view.txt", "3"),
        ("lasot", write(f"{LASOT}/full_occlusion.txt", "0,0,0,0,0"), f"{LASOT}/full_occlusion.txt", "5"),
        ("lasot", write(f"{LASOT}/full_occlusion.txt", "1,0,0,0"), f"{LASOT}/groundtruth.txt:1", "none"),
        ("lasot", drop(f"{LASOT}/img/00000004.jpg"), f"{LASOT}/groundtruth.txt", "4 boxes for 3 images"),
        ("uav123", write("anno/UAV123/person1.txt", "NaN,NaN,NaN,NaN\n" * 4), "anno/UAV123/person1.txt:1", "none"),
        ("uav123", lambda root: shutil.rmtree(root / "data_seq"), "data_seq/UAV123/person1", "none"),
        ("trackingnet", lambda root: shutil.rmtree(root / "frames"), "frames/abc_1", "none"),
        ("trackingnet", lambda root: shutil.rmtree(root / "anno"), "anno", "none"),
        ("vot", write("ants1/groundtruth.txt", "m0,0,2,2,4\n"), "ants1/groundtruth.txt:1", "'m0,0,2,2,4'"),
        ("vot", write("ants1/groundtruth.txt", "1\n" * 4), "ants1/groundtruth.txt:1", "'1'"),
        ("vot", write("ants1/cover.label", "8\n" * 4), "ants1/cover.label", "one"),
        ("vot", write("ants1/out_of_view.txt", "0,0,0,0"), "ants1/out_of_view.txt", "one"),
        ("davis", drop("Annotations/480p/bear/00002.png"), "Annotations/480p/bear", "3"),
        ("davis", lambda root: shutil.rmtree(root / "Annotations"), ".", "none"),
        ("davis", lambda root: shutil.rmtree(root / "JPEGImages"), "JPEGImages/480p/bear", "none"),
        (
            "davis",
            lambda root: write_image(root / "Annotations/480p/bear/00001.png"),
            "Annotations/480p/bear/00001.png",
            "PNG of mode RGB",
        ),
        (
            "davis",
            lambda root: write_image(root / (IMAGES["davis"] % 0), size=(128, 96)),
            "Annotations/480p/bear/00000.png",
            "64×48",
        ),
        ("davis", write("Annotations/480p/bear/00003.png", "text"), "Annotations/480p/bear/00003.png", "another file"),
    ],
)
def test_broken_layouts_are_refused_by_name(
    tmp_path: Path, layout: str, spoil: Callable[[Path], object], key: str, got: str
) -> None:
    spoil(write_layout(tmp_path, layout))
    with pytest.raises((InvalidValueError, MissingFileError)) as caught:
        read_sequence(tmp_path, layout, NAMES[layout])
    assert caught.value.key == str(tmp_path / key)
    assert caught.value.got.startswith(got)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_links_out_of_the_folder_are_refused(tmp_path: Path, layout: str) -> None:
    root, elsewhere = write_layout(tmp_path / "data", layout), tmp_path / "elsewhere"
    image = root / (IMAGES[layout] % (FIRST.get(layout, 1) + 1))
    image.rename(elsewhere)
    image.symlink_to(elsewhere)
    with pytest.raises(InvalidValueError) as caught:
        read_sequence(root, layout, NAMES[layout])
    assert caught.value.key == str(image)
    image.unlink()
    elsewhere.rename(image)
    folder = image.parent
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    with pytest.raises(InvalidValueError) as caught:
        read_sequence(root, layout, NAMES[layout])
    assert "link" in caught.value.got


@pytest.mark.parametrize("layout", TRUTH_LAYOUTS)
def test_truths_that_are_links_out_of_the_folder_are_refused_unread(tmp_path: Path, layout: str) -> None:
    root, elsewhere = write_layout(tmp_path / "data", layout), tmp_path / "secret"
    elsewhere.write_text("secret\n")
    truth = root / TRUTHS[layout]
    truth.unlink()
    truth.symlink_to(elsewhere)
    with pytest.raises(InvalidValueError) as caught:
        read_sequence(root, layout, NAMES[layout])
    assert caught.value.key == str(truth) and "link" in caught.value.got


def test_links_within_the_folder_are_followed(tmp_path: Path) -> None:
    write_layout(tmp_path, "vot")
    (tmp_path / "ants2").symlink_to(tmp_path / "ants1")
    assert len(read_sequence(tmp_path, "vot", "ants2").images) == 4


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_without_sequences_and_an_unknown_sequence_are_named(tmp_path: Path, layout: str) -> None:
    with pytest.raises(MissingFileError) as caught:
        find_sequences(tmp_path, layout)
    assert str(caught.value.key).startswith(str(tmp_path))
    write_layout(tmp_path, layout)
    with pytest.raises(MissingFileError) as caught:
        read_sequence(tmp_path, layout, "another")
    assert caught.value.key == str(tmp_path)


@pytest.mark.parametrize(
    ("layout", "folder"), [("otb", "Crossing"), ("got10k", GOT), ("lasot", LASOT), ("vot", "ants1"), (None, "empty")]
)
def test_folders_of_single_sequences_are_recognised(tmp_path: Path, layout: str | None, folder: str) -> None:
    if layout is not None:
        write_layout(tmp_path, layout)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    assert recognise(tmp_path / folder) == layout


@pytest.mark.parametrize("marks", [[], ["cover.label", "out_of_view.txt"]])
def test_a_folder_that_may_be_of_several_benchmarks_is_refused(tmp_path: Path, marks: list[str]) -> None:
    for name in ["groundtruth.txt", *marks]:
        (tmp_path / name).touch()
    with pytest.raises(InvalidValueError) as caught:
        recognise(tmp_path)
    assert caught.value.key == str(tmp_path)


def test_otb_leaves_out_frames_whose_box_is_all_zeros(tmp_path: Path) -> None:
    write_layout(tmp_path, "otb")
    truth = tmp_path / TRUTHS["otb"]
    first, *_, last = truth.read_text().splitlines()
    truth.write_text(f"{first}\n0,0,0,0\n0.0\t0.0\t0.0\t0.0\n{last}\n")
    sequence = read_sequence(tmp_path, "otb", NAMES["otb"])
    assert (sequence.boxes_xyxy == LEFT_OUT_XYXY).all(axis=1).tolist() == [False, True, True, False]
    with pytest.raises(InvalidValueError):
        otb_sequences.find_sequences(tmp_path)
    truth.write_text(f"0,0,0,0\n{first}\n{first}\n{last}\n")
    with pytest.raises(InvalidValueError) as error:
        read_sequence(tmp_path, "otb", NAMES["otb"])
    assert error.value.key.endswith("groundtruth_rect.txt:1")


@pytest.mark.parametrize("line", ["5,0,0,0", "1,1,0,0", "0,0,0,10", "0,0,-1,0"])
def test_otb_refuses_other_boxes_without_a_size(tmp_path: Path, line: str) -> None:
    write_layout(tmp_path, "otb")
    truth = tmp_path / TRUTHS["otb"]
    first, *rest = truth.read_text().splitlines()
    truth.write_text("\n".join([first, line, *rest[1:]]))
    with pytest.raises(InvalidValueError) as error:
        read_sequence(tmp_path, "otb", NAMES["otb"])
    assert error.value.key.endswith("groundtruth_rect.txt:2")
