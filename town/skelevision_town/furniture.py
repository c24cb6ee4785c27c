"""Where trees, lamps, cars and the like stand, and which of them a video keeps. NumPy only."""

from __future__ import annotations

import numpy as np

from skelevision_town import occlusion
from skelevision_town.plan import CameraTrajectory, GreenScreen, Prop, Town
from skelevision_town.shapes import Array


def sample_props(town: Town, rng: np.random.Generator) -> list[Prop]:
    """Sample trees, lamps, cars, benches and the like along 100 m of a town."""
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


def drop_obstructing_props(
    props: list[Prop], camera: CameraTrajectory, paths: list[Array], screen: GreenScreen
) -> tuple[Prop, ...]:
    """Drop objects in a walker's way, in the screen or close to the camera, and those that occlude too much.

    Args:
        props: Candidates; the first may occlude the tracked person in more frames than the others.
        camera: The camera.
        paths: (F, 3) positions of each walker's feet; those of the tracked person first.
        screen: The green screen.
    """
    kept: list[Prop] = []
    feet = paths[0]
    points = np.concatenate([occlusion.body_points(camera, feet), _sheet_points(screen, len(feet))], axis=1)
    for index, prop in enumerate(props):
        room = 0.6 if prop.kind == "car" else 0.45
        if min(float(occlusion.prop_distance(path, prop).min()) for path in paths) < room:
            continue
        cylinders = occlusion.prop_cylinders(prop)
        low = cylinders[cylinders[:, 3] < 2.0]
        if float(np.min(occlusion.screen_distance(low[:, :2], screen) - low[:, 2])) < 0.3:
            continue
        gap = np.linalg.norm(camera.positions[:, None, :2] - cylinders[:, :2], axis=-1) - cylinders[:, 2]
        if gap.min() < (0.6 if len(cylinders) == 1 else 1.3):
            continue
        hits = np.asarray(occlusion.is_blocked(camera.positions, points, cylinders).any(-1))
        body, sheet = hits[:, :15], hits[:, 15:]
        if body.mean() < 0.12 and sheet.mean() < 0.2 and (index == 0 or body.any(1).mean() < 0.5):
            kept.append(prop)
    return tuple(kept)


def _sheet_points(screen: GreenScreen, frames: int) -> Array:
    """Points (frames, 9, 3) on the sheet."""
    a, b, c, d = screen.corners()
    share = (0.1, 0.5, 0.9)
    grid = [(1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * d + u * c) for u in share for v in share]
    return np.asarray(np.broadcast_to(np.array(grid), (frames, 9, 3)))
