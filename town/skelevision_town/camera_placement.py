"""Places the camera and the green screen around the tracked person's path."""

from __future__ import annotations

import numpy as np

from skelevision_town.plan import FRAME_RATE, HEIGHT, WIDTH, CameraTrajectory, GreenScreen, Town, Walker, look_at
from skelevision_town.shapes import Array

_STATURE = 1.75  # m, for the tests; real people differ a little
_MARGIN = 6.0  # px between the person and the frame's border


def _wobble(frames: int, size: float, rng: np.random.Generator) -> Array:
    """Three smooth random curves (frames, 3) of about ``size``: a hand, not a tripod."""
    time = np.arange(frames)[:, None, None] / FRAME_RATE
    pace, phase = rng.uniform([0.3, 0.8, 1.8], [0.6, 1.5, 2.6], (3, 3)), rng.uniform(0, 2 * np.pi, (3, 3))
    return np.asarray((np.sin(2 * np.pi * pace * time + phase) * [1.0, 0.5, 0.18]).sum(-1) * size)


def sample_camera(town: Town, feet: Array, rng: np.random.Generator) -> CameraTrajectory | None:
    """A fixed, panning, travelling or hand-held camera opposite the middle of the path ``feet`` (F, 3).

    Returns:
        The camera's trajectory; None where no place fits between the house fronts.
    """
    middle, frames = feet.mean(0), len(feet)
    focal = float(rng.uniform(480, 900))
    distance = focal * _STATURE / float(rng.uniform(85, 165))
    height = float(np.clip(rng.gamma(2.0, 1.0) + 1.4, 1.6, min(6.0, 1.6 + 0.45 * distance)))
    flat = float(np.sqrt(max(distance**2 - (height - 1.0) ** 2, 4.0)))
    room = middle[1] + town.front - 0.9
    least = float(np.degrees(np.arccos(min(1.0, room / flat))))
    if least > 58.0:
        return None
    angle = float(np.radians(rng.uniform(least, 60.0))) * (1 if rng.random() < 0.5 else -1)
    base = middle + np.array([np.sin(angle) * flat, -np.cos(angle) * flat, 0.0])
    base[2] = height
    style = str(rng.choice(["fixed", "pan", "pan", "travel", "hand", "hand"]))
    follow = {
        "fixed": 0.0,
        "pan": rng.uniform(0.5, 1.0),
        "travel": rng.uniform(0.6, 1.0),
        "hand": rng.uniform(0.2, 0.9),
    }[style]
    shake = {"fixed": 0.002, "pan": 0.01, "travel": 0.015, "hand": 0.035}[style]
    drift = (feet - middle) * (rng.uniform(0.3, 0.8) if style == "travel" else 0.0)
    positions = base + drift + _wobble(frames, shake, rng)
    right = np.array([np.cos(angle), np.sin(angle), 0.0]) * rng.uniform(-0.12, 0.12) * distance
    aim = middle + right + (feet - middle) * follow + [0.0, 0.0, float(rng.uniform(0.7, 1.5))]
    aim = aim + _wobble(frames, shake * distance * 0.25, rng)
    roll = float(np.radians(rng.normal(0, 0.7))) + _wobble(frames, shake * 0.12, rng)[:, 0]
    rotations = np.stack([look_at(p, t, r) for p, t, r in zip(positions, aim, roll, strict=True)])
    return CameraTrajectory(focal, positions, rotations)


def person_box_xyxy(camera: CameraTrajectory, feet: Array, stature: float = _STATURE) -> Array:
    """Boxes (F, 4), pixels, around an upright cylinder 0.8 m thick: an outer bound of a walking person."""
    around = [(0.4 * np.cos(a), 0.4 * np.sin(a), z) for a in np.arange(8) * np.pi / 4 for z in (0.0, stature)]
    boxes = []
    for frame, foot in enumerate(feet):
        x, y, _ = camera.project(foot + np.array(around), frame).T
        boxes.append((x.min(), y.min(), x.max(), y.max()))
    return np.array(boxes)


def stature_px(camera: CameraTrajectory, feet: Array) -> Array:
    """Height in the picture (F,), pixels, of an upright line of average stature at ``feet`` (F, 3)."""
    ends = [camera.project(np.stack([foot, foot + [0.0, 0.0, _STATURE]]), i) for i, foot in enumerate(feet)]
    return np.array([np.hypot(*(a - b)[:2]) for a, b in ends])


def is_well_framed(camera: CameraTrajectory, feet: Array) -> bool:
    """Whether the person stays inside the frame, 70 to 180 px tall, and the camera looks at most 32 degrees down."""
    box_xyxy, tall = person_box_xyxy(camera, feet), stature_px(camera, feet)
    inside = box_xyxy[:, :2].min() > _MARGIN and box_xyxy[:, 2].max() < WIDTH - _MARGIN
    level = abs(np.degrees(np.arcsin(camera.rotations[:, 2, 2]))).max() < 32
    return bool(inside and level and box_xyxy[:, 3].max() < HEIGHT - _MARGIN and tall.min() > 70 and tall.max() < 180)


def sample_screen(camera: CameraTrajectory, feet: Array, walker: Walker, rng: np.random.Generator) -> GreenScreen:
    """A sheet behind the path's middle, between parallel to the path and square to the view."""
    middle = feet.mean(0)
    view = (middle - camera.positions.mean(0))[:2]
    view /= np.linalg.norm(view)
    along = np.array([np.cos(walker.heading), np.sin(walker.heading)])
    right = np.array([view[1], -view[0]])
    along = along if along @ right > 0 else -along
    turn = float(rng.uniform(0.0, 0.45))
    edge = along * (1 - turn) + right * turn
    behind = np.array([-along[1], along[0]])
    width, height = float(rng.uniform(1.7, 2.9)), float(rng.uniform(1.6, 2.4))
    spread = abs(float(edge @ behind)) / float(np.linalg.norm(edge)) * width / 2
    centre = middle[:2] + behind * (spread + float(rng.uniform(0.65, 1.1))) + along * float(rng.uniform(-0.8, 0.8))
    lift = float(rng.uniform(0.05, 0.3))
    position = (float(centre[0]), float(centre[1]), float(middle[2]) + lift)
    return GreenScreen(position, float(np.arctan2(edge[1], edge[0])), width, height)


def is_screen_in_view(camera: CameraTrajectory, screen: GreenScreen, feet: Array) -> bool:
    """Whether the sheet covers enough of a tracker's search window in more than 80 % of the frames."""
    shares, boxes_xyxy = [], person_box_xyxy(camera, feet)
    for frame, (x0, y0, x1, y1) in enumerate(boxes_xyxy):
        sheet = camera.project(screen.corners(), frame)
        half = 1.55 * (y1 - y0)
        cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
        low = np.maximum(sheet[:, :2].min(0), [max(0.0, cx - half), max(0.0, cy - half)])
        high = np.minimum(sheet[:, :2].max(0), [min(WIDTH, cx + half), min(HEIGHT, cy + half)])
        sides = np.maximum(high - low, 0.0)
        shares.append(sides.prod() / ((y1 - y0) ** 2))
    return bool(np.mean(np.array(shares) > 0.4) > 0.8)
