"""Files of OTB, LaSOT, VOT, GOT-10k and COCO, mutated: each is read as another reader reads it, or refused by name.

The readers here are written independently of the package's: short, slow, and for what is right only.
"""

import copy
import json
import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from people_data import annotate

from armory_skelevision.boxes import LEFT_OUT_XYXY
from armory_skelevision.datasets.coco import read_coco
from armory_skelevision.datasets.lasot import read_lasot
from armory_skelevision.datasets.layouts import got10k, vot
from armory_skelevision.datasets.layouts.otb import read_boxes
from armory_skelevision.datasets.walker_files import read_annotation
from armory_skelevision.validation import StructuredError

pytestmark = pytest.mark.fuzz

ODD = [
    "",
    " ",
    ",",
    "\t",
    "\n",
    "\r\n",
    "nan",
    "inf",
    "-",
    "1e39",
    "1e-50",
    "0x1",
    "1_0",
    "٣",
    "\u00a0",
    "\x0c",
    "-5",
    "0",
    ";",
    "#",
    "205",
]
TEXT = "205,151,17,50\n202,150,19,49\n201,150,18.5,49\n"


@st.composite
def mutated(draw: st.DrawFn, text: str) -> bytes:
    """A text in which some pieces are replaced, at times in another encoding, or with bytes that are no text."""
    separator = draw(st.sampled_from([",", "\t", " ", ", ", "  "]))
    text = text.replace(",", separator)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        piece = draw(st.sampled_from(ODD) | st.text(max_size=3))
        text = text[:at] + piece + text[at + draw(st.integers(0, 3)) :]
    encoding = draw(st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"]))
    data = text.encode(encoding, "replace")
    return data + draw(st.sampled_from([b""] * 8 + [b"\xff", b"\0"]))


def decode(data: bytes) -> str | None:
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    try:
        return data.decode(next((encoding for mark, encoding in marks.items() if data.startswith(mark)), "utf-8"))
    except UnicodeDecodeError:
        return None


def number(word: str) -> float | None:
    """A decimal number of at most a million, of plain digits."""
    if not word or set(word) - set("0123456789+-.eE"):
        return None
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= 1e6 else None


def rows(data: bytes) -> list[list[float]] | None:
    """The four numbers of each line; None for a text that is not right."""
    lines = fields(data)
    found = None if lines is None else [[number(word) for word in words] for words in lines]
    return found if found is None or all(len(row) == 4 and None not in row for row in found) else None  # type: ignore[return-value]


def fields(data: bytes) -> list[list[str]] | None:
    """The words of each line; None for what is no text."""
    text = decode(data)
    if text is None:
        return None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [line.strip(" \t") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    found = []
    for line in lines:
        words = [word.strip(" \t") for word in line.split(",")] if "," in line else line.replace("\t", " ").split(" ")
        found.append(words if "," in line else [word for word in words if word])
    return found


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def refusal(read: Callable[[], Any]) -> tuple[Any, StructuredError | None]:
    try:
        return read(), None
    except StructuredError as error:
        return None, error


@given(mutated(TEXT))
def test_otb_boxes(data: bytes) -> None:
    with folder() as place:
        path = place / "groundtruth_rect.txt"
        path.write_bytes(data)
        boxes_xyxy, error = refusal(lambda: read_boxes(path))
        expected = rows(data)
        if expected is not None:
            numbers = np.array(expected, float).reshape(-1, 4)
            ends = np.concatenate([numbers[:, :2] - 1, numbers[:, :2] - 1 + numbers[:, 2:]], axis=1).astype(np.float32)
            if (ends[:, :2] < ends[:, 2:]).all():
                assert error is None
                np.testing.assert_array_equal(boxes_xyxy, ends)
                return
        assert error is not None and error.key.startswith(str(path))


@given(mutated(TEXT), mutated("0,1,0"), mutated("0,0,0"))
def test_lasot_sequences(truth: bytes, occluded: bytes, away: bytes) -> None:
    with folder() as place:
        (place / "person-1/img").mkdir(parents=True)
        files = {"groundtruth.txt": truth, "full_occlusion.txt": occluded, "out_of_view.txt": away}
        for name, data in files.items():
            (place / "person-1" / name).write_bytes(data)
        people, error = refusal(lambda: read_lasot(place, "train"))
        flags = [read_flags(data) for data in (occluded, away)]
        boxes = rows(truth)
        if boxes is None or None in flags or len({len(boxes), *map(len, flags)}) > 1:  # type: ignore[arg-type]
            assert error is not None and error.key == str(place)
            assert any(str(place / "person-1" / name) in error.got for name in files)
            return
        assert error is None
        seen = [n for n, box in enumerate(boxes) if any(box) and not flags[0][n] and not flags[1][n]]  # type: ignore[index]
        whole = [n for n in seen if np.float32(boxes[n][0]) + np.float32(boxes[n][2]) > np.float32(boxes[n][0])]
        whole = [n for n in whole if np.float32(boxes[n][1]) + np.float32(boxes[n][3]) > np.float32(boxes[n][1])]
        assert [person.frame for person in people.parts["person-1"]] == whole
        for person in people.parts["person-1"]:
            x, y, width, height = boxes[person.frame]
            np.testing.assert_allclose(person.box_xyxy, [x, y, x + width, y + height], rtol=1e-6)
        listed = [problem for problem in people.problems if "person-1, frame" in problem]
        assert len(listed) == len(seen) - len(whole)


def region(words: list[str]) -> list[float] | str | None:
    """The box of a region of VOT, left, top, right, bottom; "absent" without one, None for what is no region."""
    if len(words) not in (4, 8):
        return None
    if all(word.lower() == "nan" for word in words):
        return "absent"
    values = [number(word) for word in words]
    if None in values:
        return None
    if len(values) == 4:
        x, y, width, height = values
        corners = [x, y, x + width, y + height]  # type: ignore[operator]
    else:
        corners = [*np.min(np.reshape(values, (4, 2)), axis=0), *np.max(np.reshape(values, (4, 2)), axis=0)]
    left, top, right, bottom = np.float32(corners)
    return corners if left < right and top < bottom else None  # type: ignore[return-value]


@given(mutated("30,10,40,20,30,30,20,20\n1,2,3,4\nnan,nan,nan,nan\n"))
def test_vot_sequences(data: bytes) -> None:
    with folder() as place:
        lines = fields(data)
        (place / "ants/color").mkdir(parents=True)
        (place / "ants/groundtruth.txt").write_bytes(data)
        for frame in range(1, 1 + len(lines or [""])):
            (place / f"ants/color/{frame:08d}.jpg").touch()
        sequence, error = refusal(lambda: vot.read(place / "ants", place))
        boxes = [region(words) for words in lines or []]
        if not boxes or None in boxes or boxes[0] == "absent":
            assert error is not None and error.key.startswith(str(place / "ants/groundtruth.txt"))
            return
        assert error is None
        expected = [LEFT_OUT_XYXY if box == "absent" else box for box in boxes]
        np.testing.assert_allclose(sequence.boxes_xyxy, expected, rtol=1e-6, atol=1e-6)


@given(mutated("8\n0\n5\n"), mutated("0\n1\n0\n"))
def test_got10k_labels(cover: bytes, absence: bytes) -> None:
    with folder() as place:
        (place / "walk").mkdir()
        (place / "walk/groundtruth.txt").write_text("1,2,3,4\n" * 3)
        (place / "walk/cover.label").write_bytes(cover)
        (place / "walk/absence.label").write_bytes(absence)
        for frame in (1, 2, 3):
            (place / f"walk/{frame:08d}.jpg").touch()
        sequence, error = refusal(lambda: got10k.read(place / "walk", place))
        text, flags = decode(cover), read_flags(absence)
        lines = (text or "").replace("\r\n", "\n").replace("\r", "\n").rstrip(" \t\n").split("\n")
        covers = [line.strip(" \t") for line in lines]
        right = len(covers) == 3 and all(len(each) == 1 and each in "012345678" for each in covers)
        if text is None or not right or covers[0] == "0" or flags is None or len(flags) != 3:
            assert error is not None and error.key.startswith(str(place / "walk"))
            return
        assert error is None
        left_out = (sequence.boxes_xyxy == LEFT_OUT_XYXY).all(axis=1).tolist()
        assert left_out == [each == "0" for each in covers]


def read_flags(data: bytes) -> list[bool] | None:
    text = decode(data)
    if text is None:
        return None
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip(" \t\n").split("\n")
    words = lines if len(lines) > 1 else lines[0].split(",")
    words = [word.strip(" \t") for word in words]
    if words == [""]:
        return []
    return [word == "1" for word in words] if set(words) <= {"0", "1"} else None


CONTENT = {
    "images": [{"id": i, "file_name": f"{i}.jpg", "width": 320, "height": 240} for i in range(2)],
    "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "dog"}],
    "annotations": [
        annotate(0, (10, 20, 50, 100)),
        annotate(1, (60, 20, 99, 90), labelled=6),
        annotate(1, (10, 20, 50, 100), id=7, labelled=5),
        annotate(1, (10, 20, 50, 100), id=8, iscrowd=1),
        annotate(0, (10, 20, 50, 100), id=9, category_id=2),
    ],
}
VALUES = (
    st.sampled_from(
        [0, 1, 2, 7, 16, 17, 100, -1, 1.5, 1e39, 10**19, True, False, None, "", "1", "person", "../a", [], {}]
    )
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(2**63), 2**63 - 1)
    | st.text(max_size=3)
)
LISTS = st.lists(st.integers(-3, 400) | VALUES, min_size=3, max_size=5)


@st.composite
def mutated_coco(draw: st.DrawFn) -> dict[str, Any]:
    content = copy.deepcopy(CONTENT)
    for _ in range(draw(st.integers(1, 3))):
        section = draw(st.sampled_from(sorted(content)))
        entries = content[section]
        if not isinstance(entries, list) or draw(st.integers(0, 30)) == 0:
            content[section] = draw(VALUES)
            continue
        entry = draw(st.sampled_from(entries)) if entries else {}
        if not isinstance(entry, dict) or not entry or draw(st.integers(0, 9)) == 0:
            entries.append(copy.deepcopy(entry))
            continue
        key = draw(st.sampled_from(sorted(entry)))
        if draw(st.integers(0, 5)) == 0:
            del entry[key]
        elif isinstance(entry[key], list) and entry[key] and draw(st.booleans()):
            entry[key][draw(st.integers(0, len(entry[key]) - 1))] = draw(VALUES)
        else:
            entry[key] = draw(LISTS if draw(st.integers(0, 3)) == 0 else VALUES)
    return content


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e6


def is_id(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def tables_are_right(content: dict[str, Any]) -> bool:
    for section in ("images", "categories", "annotations"):
        entries = content[section]
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            return False
        ids = [entry.get("id") for entry in entries if section != "annotations" or is_id(entry.get("id"))]
        if not all(map(is_id, ids)) or len(set(ids)) < len(ids):
            return False
    names = [entry["file_name"] for entry in content["images"] if isinstance(entry.get("file_name"), str)]
    persons = [entry for entry in content["categories"] if entry.get("name") == "person"]
    return len(set(names)) == len(names) and len(persons) == 1 and persons[0].get("keypoints") is None


def expected_person(a: dict[str, Any], content: dict[str, Any]) -> tuple[Any, ...] | str | None:
    """Id, box and number of keypoints; "wrong" for a contradiction; None for an annotation that is not selected."""
    (person,) = [entry["id"] for entry in content["categories"] if entry.get("name") == "person"]
    ids = [entry["id"] for entry in content["categories"]]
    if not is_id(a.get("category_id")) or a["category_id"] not in ids:
        return "wrong"
    if a["category_id"] != person:
        return None
    images = [i for i in content["images"] if is_id(a.get("image_id")) and i["id"] == a["image_id"]]
    if type(a.get("id")) is not int or type(a.get("iscrowd")) is not int or a["iscrowd"] not in (0, 1) or not images:
        return "wrong"
    if a["iscrowd"]:
        return None
    k = a.get("keypoints")
    if not isinstance(k, list) or len(k) != 51 or not all(map(is_number, k)) or set(k[2::3]) - {0, 1, 2}:
        return "wrong"
    labelled = sum(v > 0 for v in k[2::3])
    if not is_number(a.get("num_keypoints")) or a["num_keypoints"] != labelled:
        return "wrong"
    if labelled < 6:
        return None
    box = a.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_number, box)):
        return "wrong"
    x, y, w, h = np.array(box, np.float32)
    if not (x + w > x and y + h > y):
        return "wrong"
    area = a.get("area")
    if type(area) not in (int, float) or not 1 <= area <= 1.05 * float(w) * float(h) * (1 + 1e-6) + 1:
        return "wrong"
    if area <= 16:
        return None
    image = images[0]
    name = image.get("file_name")
    safe = isinstance(name, str) and name and "\0" not in name and ".." not in name.split("/") and name[0] != "/"
    sides = [image.get("width"), image.get("height")]
    if not safe or not all(type(side) is int and 0 < side <= 10**6 for side in sides):
        return "wrong"
    return a["id"], [float(x), float(y), float(x + w), float(y + h)], labelled


@given(mutated_coco())
def test_coco_files(content: dict[str, Any]) -> None:
    with folder() as place:
        (place / "people.json").write_text(json.dumps(content))
        people, error = refusal(lambda: read_coco(place / "people.json", place))
    numbers_fit = "10000000000000000000" not in json.dumps(content)
    right = tables_are_right(content) and numbers_fit
    found = [expected_person(a, content) for a in content["annotations"]] if right else []
    expected = [each for each in found if isinstance(each, tuple)]
    if not expected:
        assert error is not None and error.key.startswith(str(place / "people.json"))
        return
    assert error is None
    persons = [person for part in people.parts.values() for person in part]
    read = [(p.track, p.box_xyxy.tolist(), int((p.keypoints[:, 2] > 0).sum())) for p in persons]
    assert sorted(read) == sorted(expected)
    assert len(people.problems) == found.count("wrong")
    assert all(problem.startswith("people.json, annotation") for problem in people.problems)


WALKERS = {
    "frame_rate": 10.0,
    "width": 8,
    "height": 4,
    "boxes_xyxy": [[0.5, 0, 3, 4]] * 2,
    "keypoints": [[[1.5, 2, 2]] * 17] * 2,
    "gs_coords": [[[-3, 1], [5, 1], [5, 2], [-3, 2]]] * 2,
    "masks": ["P1", "P1"],
}


@st.composite
def mutated_tree(draw: st.DrawFn) -> dict[str, Any]:
    content = json.loads(json.dumps(WALKERS))
    for _ in range(draw(st.integers(1, 2))):
        node, key = content, draw(st.sampled_from(sorted(content)))
        while isinstance(node[key], list) and node[key] and draw(st.integers(0, 3)):
            node, key = node[key], draw(st.integers(0, len(node[key]) - 1))
        change = draw(st.sampled_from(["change", "drop", "repeat"]))
        if change == "change":
            node[key] = draw(VALUES)
        elif change == "drop":
            del node[key]
        elif isinstance(node, list):
            node.append(node[key])
    return content


def leaves(values: Any, shape: tuple[int, ...]) -> list[Any] | None:
    """The numbers of nested lists, None if they are of another shape or anything else."""
    if not shape:
        return [values] if is_number(values) else None
    if not isinstance(values, list) or len(values) != shape[0]:
        return None
    found = [leaves(value, shape[1:]) for value in values]
    return None if None in found else [leaf for each in found for leaf in each]  # type: ignore[union-attr]


def walker_is_right(content: dict[str, Any]) -> bool:
    masks, sides = content.get("masks"), [content.get("width"), content.get("height")]
    if not isinstance(masks, list) or not masks or not all(isinstance(mask, str) for mask in masks):
        return False
    frames = len(masks)
    shapes = {"boxes_xyxy": (frames, 4), "keypoints": (frames, 17, 3), "gs_coords": (frames, 4, 2)}
    boxes, keypoints, corners = (leaves(content.get(key), shape) for key, shape in shapes.items())
    if boxes is None or keypoints is None or corners is None:
        return False
    edges = np.array(boxes, np.float32).reshape(-1, 4)
    rate = content.get("frame_rate")
    return (
        type(rate) in (int, float)
        and 0 < rate <= 10**6
        and all(type(side) is int and 0 < side <= 10**6 for side in sides)
        and sides[0] * sides[1] <= 50_000_000
        and bool((edges[:, :2] < edges[:, 2:]).all())
        and set(keypoints[2::3]) <= {0, 1, 2}
        and all(corner == int(corner) for corner in corners)
    )


@given(mutated_tree())
def test_annotations_of_walkers(content: dict[str, Any]) -> None:
    with folder() as place:
        path = place / "000.json"
        path.write_text(json.dumps(content))
        video, error = refusal(lambda: read_annotation(place / "000.mp4"))
        if walker_is_right(content) and "10000000000000000000" not in path.read_text():
            assert error is None
            np.testing.assert_array_equal(video.boxes_xyxy, np.array(content["boxes_xyxy"], np.float32))
            np.testing.assert_array_equal(video.gs_coords, content["gs_coords"])
            _, damaged = refusal(video.decode_masks)
            assert damaged is None or damaged.key == f"{path}: masks"
        else:
            assert error is not None and error.key.startswith(str(path))
