"""From a seed to the plan of a video: draw, test, draw again until the tracked person can be seen. Numpy only."""

from __future__ import annotations

import numpy as np

from armory_skelevision.walkers import sightlines
from armory_skelevision.walkers.gait import CYCLE_TIME
from armory_skelevision.walkers.person import sample_person
from armory_skelevision.walkers.plan import (
    FRAME_RATE, HEIGHT, WIDTH, Camera, Prop, Screen, Sky, Town, VideoPlan, Walker, look,
)  # fmt: skip
from armory_skelevision.walkers.shapes import Array

_TRIES = 400
_STATURE = 1.75  # m, for the tests; real people differ a little
_MARGIN = 6.0  # px between the person and the frame's border


def sample_video(seed: int, frames: int) -> VideoPlan:
    """Draw a video; equal arguments give equal plans.

    Args:
        seed: of everything in the video.
        frames: how many, at ``FRAME_RATE``; at least 2.

    Returns:
        A plan in which the tracked person is 60 to 200 px tall, inside the frame, never wholly hidden, and walks past
        a green screen.

    Raises:
        ValueError: ``frames`` is too small.
        RuntimeError: no plan was found in the allowed number of tries.
    """
    if frames < 2:
        raise ValueError(f"a video has at least 2 frames, got {frames}")
    for attempt in range(_TRIES):
        plan = _draw(seed, frames, np.random.default_rng([seed, attempt]))
        if plan is not None:
            return plan
    raise RuntimeError(f"no plan for seed {seed} with {frames} frames in {_TRIES} tries; take another seed")


def sample_town(rng: np.random.Generator, kinds: tuple[float, float, float] = (0.6, 0.22, 0.18)) -> Town:
    """A ground plan; ``kinds`` are the chances of street, square and park."""
    kind = str(rng.choice(["street", "square", "park"], p=kinds))
    seed = int(rng.integers(2**31))
    if kind == "street":
        road = float(rng.uniform(2.9, 4.2))
        return Town(kind, seed, road, road + float(rng.uniform(3.0, 4.4)))
    if kind == "square":
        return Town(kind, seed, 0.0, float(rng.uniform(12.0, 22.0)))
    return Town(kind, seed, float(rng.uniform(1.4, 2.2)), float(rng.uniform(22.0, 32.0)))


def sample_sky(rng: np.random.Generator) -> Sky:
    """Sun between 22 and 62 degrees high, one sky in four overcast."""
    cloud = float(rng.uniform(0.85, 1.0)) if rng.random() < 0.25 else float(rng.uniform(0.0, 0.55))
    azimuth, elevation = float(rng.uniform(0, 2 * np.pi)), float(np.radians(rng.uniform(22, 62)))
    return Sky(azimuth, elevation, cloud, float(rng.uniform(0, 1)), float(rng.uniform(0.0, 1.0)))


def _draw(seed: int, frames: int, rng: np.random.Generator) -> VideoPlan | None:
    town, sky = sample_town(rng), sample_sky(rng)
    walker = _tracked(town, frames, rng)
    feet = walker.path(frames)
    camera = _camera(town, feet, rng)
    if camera is None or not _framed(camera, feet):
        return None
    screen = _screen(camera, feet, walker, rng)
    if not _screen_serves(camera, screen, feet) or abs(max(screen.corners()[:, 1], key=abs)) > town.front - 0.15:
        return None
    others = _others(town, camera, walker, screen, frames, rng)
    near, around = _occluder(town, camera, feet, rng), furnish(town, rng)
    props = _keep(near + around, camera, [w.path(frames) for w in (walker, *others)], screen)
    hidden = _hidden(camera, feet, props, others)
    if hidden.max() > 0.7 or hidden.mean() > 0.2 or len(others) < 2:
        return None
    return VideoPlan(seed, frames, sky, town, camera, walker, others, props, screen)


def _tracked(town: Town, frames: int, rng: np.random.Generator) -> Walker:
    person = int(rng.integers(2**31))
    length, speed = frames / FRAME_RATE, _speed(person, rng)
    lean = float(np.radians(rng.uniform(-12, 12)))
    if town.kind == "street" and rng.random() < 0.7:
        y = town.road_half + (town.front - town.road_half) * float(rng.uniform(0.3, 0.5))
        lean *= 0.4
    elif town.kind == "street":
        y, lean = float(rng.uniform(-0.5, 0.6)) * town.road_half, lean * 1.5
    else:
        y = float(rng.uniform(-0.4, 0.4)) if town.kind == "park" else float(rng.uniform(-3.0, 4.0))
        lean *= 2.5 if town.kind == "square" else 0.3
    heading = lean + (np.pi if rng.random() < 0.5 else 0.0)
    middle = np.array([float(rng.uniform(-6, 6)), y])
    start = middle - np.array([np.cos(heading), np.sin(heading)]) * speed * length / 2
    return Walker(person, (float(start[0]), float(start[1]), town.ground(y)), float(heading), speed)


def _speed(person: int, rng: np.random.Generator) -> float:
    """Walking speed in m/s that suits the legs of ``person``."""
    stride = sample_person(np.random.default_rng(person)).stride
    return stride / CYCLE_TIME * float(rng.uniform(0.85, 1.1))


def _wobble(frames: int, size: float, rng: np.random.Generator) -> Array:
    """Three smooth random curves (frames, 3) of about ``size``: a hand, not a tripod."""
    time = np.arange(frames)[:, None, None] / FRAME_RATE
    pace, phase = rng.uniform([0.3, 0.8, 1.8], [0.6, 1.5, 2.6], (3, 3)), rng.uniform(0, 2 * np.pi, (3, 3))
    return np.asarray((np.sin(2 * np.pi * pace * time + phase) * [1.0, 0.5, 0.18]).sum(-1) * size)


def _camera(town: Town, feet: Array, rng: np.random.Generator) -> Camera | None:
    """A camera across the way from the path's middle: fixed, panning, travelling or hand-held."""
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
    follow = {"fixed": 0.0, "pan": rng.uniform(0.5, 1.0), "travel": rng.uniform(0.6, 1.0), "hand": rng.uniform(0.2, 0.9)}[style]
    shake = {"fixed": 0.002, "pan": 0.01, "travel": 0.015, "hand": 0.035}[style]
    drift = (feet - middle) * (rng.uniform(0.3, 0.8) if style == "travel" else 0.0)
    positions = base + drift + _wobble(frames, shake, rng)
    right = np.array([np.cos(angle), np.sin(angle), 0.0]) * rng.uniform(-0.12, 0.12) * distance
    aim = middle + right + (feet - middle) * follow + [0.0, 0.0, float(rng.uniform(0.7, 1.5))]
    aim = aim + _wobble(frames, shake * distance * 0.25, rng)
    roll = float(np.radians(rng.normal(0, 0.7))) + _wobble(frames, shake * 0.12, rng)[:, 0]
    turns = np.stack([look(p, t, r) for p, t, r in zip(positions, aim, roll, strict=True)])
    return Camera(focal, positions, turns)


def person_box_xyxy(camera: Camera, feet: Array, stature: float = _STATURE) -> Array:
    """Boxes (F, 4) around a walking person taken as an upright cylinder 0.8 m thick: an outer bound."""
    around = [(0.4 * np.cos(a), 0.4 * np.sin(a), z) for a in np.arange(8) * np.pi / 4 for z in (0.0, stature)]
    boxes = []
    for frame, foot in enumerate(feet):
        x, y, _ = camera.project(foot + np.array(around), frame).T
        boxes.append((x.min(), y.min(), x.max(), y.max()))
    return np.array(boxes)


def stature_px(camera: Camera, feet: Array) -> Array:
    """Height in the picture (F,) of the upright line of a person's length over ``feet``."""
    ends = [camera.project(np.stack([foot, foot + [0.0, 0.0, _STATURE]]), i) for i, foot in enumerate(feet)]
    return np.array([np.hypot(*(a - b)[:2]) for a, b in ends])


def _framed(camera: Camera, feet: Array) -> bool:
    box_xyxy, tall = person_box_xyxy(camera, feet), stature_px(camera, feet)
    inside = box_xyxy[:, :2].min() > _MARGIN and box_xyxy[:, 2].max() < WIDTH - _MARGIN
    level = abs(np.degrees(np.arcsin(camera.turns[:, 2, 2]))).max() < 32
    return bool(inside and level and box_xyxy[:, 3].max() < HEIGHT - _MARGIN and tall.min() > 70 and tall.max() < 180)


def _screen(camera: Camera, feet: Array, walker: Walker, rng: np.random.Generator) -> Screen:
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
    return Screen((float(centre[0]), float(centre[1]), float(middle[2]) + lift), float(np.arctan2(edge[1], edge[0])),
                  width, height)  # fmt: skip


def _screen_serves(camera: Camera, screen: Screen, feet: Array) -> bool:
    """Whether the sheet lies in the tracker's search window most of the time, and is not seen edge-on."""
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


def _others(
    town: Town, camera: Camera, walker: Walker, screen: Screen, frames: int, rng: np.random.Generator
) -> tuple[Walker, ...]:
    """Two to five more walkers: one beside the tracked person, one crossing before it, the rest anywhere."""
    found: list[Walker] = []
    wanted, feet = int(rng.integers(2, 6)), walker.path(frames)
    reach = camera.turns[:, :, 2].mean(0)[:2]
    for attempt in range(60):
        if len(found) == wanted:
            break
        role = "crossing" if not found and attempt < 20 else str(rng.choice(["beside", "far", "far", "crossing"]))
        other = _other(role, town, walker, feet, reach / np.linalg.norm(reach), rng)
        path = other.path(frames)
        rest = [feet, *(w.path(frames) for w in found)]
        free = min(float(np.linalg.norm(path - p, axis=1).min()) for p in rest) > 0.62
        clear = sightlines.screen_distance(path, screen).min() > 0.4
        away = np.linalg.norm((path - camera.positions)[:, :2], axis=1).min() > 3.0
        edge = abs(abs(path[:, 1]) - town.road_half).min() > 0.25 or town.kind != "street"
        if free and clear and away and edge and abs(path[:, 1]).max() < town.front - 0.5:
            found.append(other)
    return tuple(found)


def _other(role: str, town: Town, walker: Walker, feet: Array, toward: Array, rng: np.random.Generator) -> Walker:
    person = int(rng.integers(2**31))
    speed, frames = _speed(person, rng), len(feet)
    along = np.array([np.cos(walker.heading), np.sin(walker.heading)])
    side = np.array([-along[1], along[0]])
    side = side if side @ toward > 0 else -side
    if role == "crossing":
        heading = walker.heading + np.pi + float(rng.normal(0, 0.12))
        when = int(frames * rng.uniform(0.25, 0.75))
        spot = feet[when, :2] + side * float(rng.choice([rng.uniform(0.7, 1.6), -rng.uniform(0.65, 0.9)], p=[0.75, 0.25]))
    elif role == "beside":
        heading, when = walker.heading + float(rng.normal(0, 0.05)), 0
        speed = 0.4 * speed + 0.6 * walker.speed
        spot = feet[0, :2] + along * float(rng.choice([-1, 1])) * rng.uniform(0.8, 2.2) + side * rng.uniform(-0.8, 0.9)
    else:
        heading = float(rng.normal(0, 0.15)) + (np.pi if rng.random() < 0.5 else 0.0)
        when, span = frames // 2, min(town.front - 0.8, 9.0)
        spot = feet.mean(0)[:2] - toward * rng.uniform(1.0, 14.0) + [float(rng.uniform(-6, 6)), 0.0]
        spot[1] = np.clip(spot[1] + rng.uniform(-2, 2), -span, span)
    start = spot - np.array([np.cos(heading), np.sin(heading)]) * speed * when / FRAME_RATE
    return Walker(person, (float(start[0]), float(start[1]), town.ground(float(spot[1]))), heading, speed)


def _occluder(town: Town, camera: Camera, feet: Array, rng: np.random.Generator) -> list[Prop]:
    """In two videos of three, one thing on the line of sight for some of the frames."""
    if rng.random() > 0.67:
        return []
    spot = feet[int(len(feet) * rng.uniform(0.2, 0.8))]
    toward = camera.positions.mean(0) - spot
    toward = toward[:2] / np.linalg.norm(toward[:2])
    place = spot[:2] + toward * float(rng.uniform(0.9, 2.4))
    kind = str(rng.choice(["lamp_post", "bollard", "sign", "bin", "bench", "tree"]))
    heading = float(np.arctan2(toward[1], toward[0]) + np.pi / 2)
    position = (float(place[0]), float(place[1]), town.ground(float(place[1])))
    return [Prop(kind, int(rng.integers(2**31)), position, heading)]


def furnish(town: Town, rng: np.random.Generator) -> list[Prop]:
    """Trees, lamps, cars, benches and the like where a town puts them, over 100 m of it."""
    things: list[tuple[str, float, float, float]] = []
    if town.kind == "street":
        for side in (-1, 1):
            kerb, kind = side * (town.road_half + 0.45), str(rng.choice(["tree", "lamp_post", "bollard"]))
            gap, shift = {"tree": 8.0, "lamp_post": 14.0, "bollard": 3.5}[kind], float(rng.uniform(0, 8))
            things += [(kind, x + shift, kerb, 0.0 if side > 0 else np.pi) for x in np.arange(-50, 50, gap)]
            things += [(str(rng.choice(["bin", "sign", "bench", "lamp_post"])), x, kerb, 0.0 if side > 0 else np.pi)
                       for x in rng.uniform(-35, 35, 6)]  # fmt: skip
            if rng.random() < 0.75:
                lane, x = side * (town.road_half - 1.05), -45.0
                while x < 45.0:
                    x += float(rng.choice([5.2, 5.6, 7.0, 11.0, 16.0]))
                    things.append(("car", x, lane, 0.0 if side < 0 else np.pi))
    else:
        rows = (-9.0, -4.5, 6.0, 11.0) if town.kind == "square" else (-12.0, -6.0, -3.2, 3.4, 6.5, 11.0, 16.0, 20.0)
        for row in rows:
            kind = str(rng.choice(["tree", "tree", "lamp_post", "bench"]))
            gap = {"tree": 7.5, "lamp_post": 13.0, "bench": 9.0}[kind]
            things += [(kind, x + rng.uniform(-1.2, 1.2), row + rng.uniform(-0.6, 0.6), 0.0)
                       for x in np.arange(-40, 40, gap) + rng.uniform(0, gap)]  # fmt: skip
        if town.kind == "park":
            things += [("hedge", x, y, 0.0) for y in (5.2, -8.0) for x in np.arange(-21, 21, 3.0) if rng.random() < 0.5]
        things += [("bin", float(rng.uniform(-15, 15)), float(rng.uniform(-8, 8)), 0.0) for _ in range(3)]
    return [Prop(kind, int(rng.integers(3)), (float(x), float(y), town.ground(float(y))), float(turn))
            for kind, x, y, turn in things]  # fmt: skip


def _keep(props: list[Prop], camera: Camera, paths: list[Array], screen: Screen) -> tuple[Prop, ...]:
    """Drop what stands in somebody's way, in the screen, before the lens, or hides the tracked person for long."""
    kept: list[Prop] = []
    feet = paths[0]
    points = np.concatenate([sightlines.body_points(camera, feet), _sheet_points(screen, len(feet))], axis=1)
    for index, prop in enumerate(props):
        near = 0.15 if prop.kind != "car" else 0.3
        if min(float(sightlines.prop_distance(path, prop).min()) for path in paths) < 0.3 + near:
            continue
        cylinders = sightlines.solids(prop)
        if min(float(sightlines.screen_distance(c[None, :3] * [1, 1, 0], screen)[0] - c[2]) for c in cylinders if c[3] < 2) < 0.3:
            continue
        gap = np.linalg.norm(camera.positions[:, None, :2] - cylinders[:, :2], axis=-1) - cylinders[:, 2]
        if gap.min() < (0.6 if len(cylinders) == 1 else 1.3):
            continue
        hits = sightlines.blocked(camera.positions, points, cylinders).any(-1)
        if hits[:, :15].mean() < 0.12 and hits[:, 15:].mean() < 0.2 and (hits[:, :15].any(1).mean() < 0.5 or index == 0):
            kept.append(prop)
    return tuple(kept)


def _sheet_points(screen: Screen, frames: int) -> Array:
    """Points (frames, 9, 3) on the sheet."""
    a, b, c, d = screen.corners()
    grid = [(1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * d + u * c) for u in (0.1, 0.5, 0.9) for v in (0.1, 0.5, 0.9)]
    return np.broadcast_to(np.array(grid), (frames, 9, 3))


def _hidden(camera: Camera, feet: Array, props: tuple[Prop, ...], others: tuple[Walker, ...]) -> Array:
    """Share of the tracked person (F,) that things and other walkers hide."""
    points = sightlines.body_points(camera, feet)
    hits = np.zeros(points.shape[:2], dtype=bool)
    for prop in props:
        hits |= sightlines.blocked(camera.positions, points, sightlines.solids(prop)).any(-1)
    for other in others:
        hits |= sightlines.blocked(camera.positions, points, sightlines.path_cylinders(other.path(len(feet)))).any(-1)
    return hits.mean(1)
