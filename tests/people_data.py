"""Small made-up folders in the layouts of COCO and LaSOT: one person, a bright patch, in each picture."""

import json

import cv2
import numpy as np

SIZE = (320, 240)


def draw_picture(path, box_xyxy, seed=0):
    """A dark noisy JPEG with a bright rectangle at the box."""
    picture = np.random.default_rng(seed).integers(0, 60, (SIZE[1], SIZE[0], 3), np.uint8)
    x1, y1, x2, y2 = box_xyxy
    picture[y1:y2, x1:x2] = (60, 160, 240)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)


def annotate(number, box_xyxy, labelled=17, **changes):
    """An annotation whose keypoints lie in the pixels along the box's upper edge."""
    x1, y1, x2, y2 = box_xyxy
    keypoints = [v for k in range(17) for v in ((x1 + k, y1, 2) if k < labelled else (0, 0, 0))]
    box = [x1, y1, x2 - x1, y2 - y1]
    numbers = {"id": 100 + number, "image_id": number, "category_id": 1, "iscrowd": 0, "area": box[2] * box[3]}
    return numbers | {"bbox": box, "keypoints": keypoints, "num_keypoints": labelled} | changes


def make_coco(root, count=4):
    """``images/`` with a person each, and the annotations; returns the annotations, to be changed and saved again."""
    boxes = [(100 + 5 * i, 60, 140 + 5 * i, 160) for i in range(count)]
    pictures = []
    for i, box in enumerate(boxes):
        draw_picture(root / f"images/{i:012d}.jpg", box, seed=i)
        pictures.append({"id": i, "file_name": f"{i:012d}.jpg", "width": SIZE[0], "height": SIZE[1]})
    content = {
        "images": pictures,
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [annotate(i, box) for i, box in enumerate(boxes)],
    }
    save_coco(root, content)
    return content


def save_coco(root, content):
    (root / "people.json").write_text(json.dumps(content))


def make_lasot(root, frames=3, sequences=20):
    """Persons who take 4 pixels to the right in each frame."""
    for number in range(1, sequences + 1):
        folder = root / f"person-{number}"
        boxes = [(20 + 4 * i, 30, 60 + 4 * i, 120) for i in range(frames)]
        for i, box in enumerate(boxes):
            draw_picture(folder / f"img/{i + 1:08d}.jpg", box, seed=number)
        lines = [f"{x1},{y1},{x2 - x1},{y2 - y1}\n" for x1, y1, x2, y2 in boxes]
        (folder / "groundtruth.txt").write_text("".join(lines))
        for name in ("full_occlusion.txt", "out_of_view.txt"):
            (folder / name).write_text(",".join("0" * frames))
