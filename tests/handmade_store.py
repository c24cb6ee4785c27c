"""A tiny training store drawn by hand: figures of plain colours in the format of the rendered one."""

import json

import cv2
import numpy as np

from armory_skelevision.training.data.rendered_pairs.textures import draw_texture

KEYPOINTS = [
    (50, 20), (54, 17), (46, 17), (58, 19), (42, 19), (68, 50), (32, 50), (76, 80), (24, 80),
    (80, 108), (20, 108), (60, 110), (40, 110), (64, 152), (36, 152), (66, 194), (34, 194),
]  # fmt: skip
LIMBS = [(5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16)]


def draw_person(colours):
    """Straight-alpha BGRA picture (220, 100, 4) and its keypoints (17, 3), pixel edges."""
    picture = np.zeros((220, 100, 4), np.uint8)
    for a, b in LIMBS:
        cv2.line(picture, KEYPOINTS[a], KEYPOINTS[b], (*colours[0], 255), 13)
    cv2.ellipse(picture, (50, 80), (22, 38), 0, 0, 360, (*colours[1], 255), -1)
    cv2.ellipse(picture, (50, 22), (13, 17), 0, 0, 360, (*colours[2], 255), -1)
    keypoints = np.array([(x + 0.5, y + 0.5, 2) for x, y in KEYPOINTS], np.float32)
    return picture, keypoints


def tight_box(alpha):
    ys, xs = np.nonzero(alpha > 127)
    return [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]


def make_store(root, people=3, views=2, scenes=2, seed=0):
    rng = np.random.default_rng(seed)
    (root / "people").mkdir(parents=True)
    (root / "scenes").mkdir()
    lines = []
    for person in range(people):
        picture, keypoints = draw_person(rng.integers(30, 230, (3, 3)).tolist())
        for view in range(views):
            name = f"people/{person:05d}_{view:02d}.png"
            cv2.imwrite(str(root / name), picture)
            box_xyxy = tight_box(picture[..., 3])
            line = {"file": name, "person": person, "view": view, "box_xyxy": box_xyxy}
            lines.append(json.dumps(line | {"keypoints": keypoints.tolist()}) + "\n")
    (root / "people.jsonl").write_text("".join(lines))
    for scene in range(scenes):
        cv2.imwrite(str(root / f"scenes/{scene:05d}.jpg"), draw_texture(rng, (640, 480)))
    found = [json.dumps({"file": f"scenes/{scene:05d}.jpg", "horizon": None}) + "\n" for scene in range(scenes)]
    (root / "scenes.jsonl").write_text("".join(found))
    return root
