"""How a person walks: joint positions over a cycle (no Blender).

Convention: the body frame has x forward, y to the left, z up, metres, ground at z = 0 and the pelvis above its origin.
``phase`` counts cycles; at 0 the left heel strikes. While the body moves on at `speed`, a foot on the ground rests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from armory_skelevision.walkers.person import Person

Array = NDArray[np.float64]

COCO = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
"""The 17 keypoints in COCO's order."""

STANCE = 0.6  # share of the cycle that a foot spends on the ground
CYCLE_TIME = 1.08  # seconds per cycle at a stride of 0.82 times the height


def pose(person: Person, phase: float, walking: bool = True) -> dict[str, Array]:
    """Joint positions at a moment of the cycle.

    Args:
        person: Who.
        phase: Cycles since a heel strike of the left foot.
        walking: False gives a person who stands.

    Returns:
        Name to position (3,): the names of `COCO` and "pelvis", "chest", "neck", "head", "left_toe", "right_toe",
        "left_hand" and "right_hand".
    """
    h = person.height
    stride = person.stride if walking else 0.0
    hip_height = person.legs * h - (0.012 * h * (1 + np.cos(4 * np.pi * phase)) / 2 if walking else 0.0)
    pelvis = np.array([0.0, 0.02 * np.sin(2 * np.pi * phase) if walking else 0.0, hip_height])
    joints = {"pelvis": pelvis}
    _add_trunk(joints, person, phase, walking)
    for side, sign, offset in (("left", 1.0, 0.0), ("right", -1.0, 0.5)):
        _add_leg(joints, person, side, sign, phase + offset, stride)
        _add_arm(joints, person, side, sign, phase + offset, walking)
    return joints


def _add_trunk(joints: dict[str, Array], person: Person, phase: float, walking: bool) -> None:
    h = person.height
    up = np.array([np.sin(person.lean), 0.0, np.cos(person.lean)])
    twist = 0.12 * np.cos(2 * np.pi * phase) if walking else 0.0
    chest = joints["pelvis"] + 0.19 * h * up
    neck = joints["pelvis"] + (0.82 - person.legs) * h * up
    head = neck + np.array([0.012 * h, 0.0, 0.1 * h])
    joints |= {"chest": chest, "neck": neck, "head": head}
    across = np.array([np.sin(twist), np.cos(twist), 0.0])
    for side, sign in (("left", 1.0), ("right", -1.0)):
        joints[f"{side}_shoulder"] = neck - 0.015 * h * up + sign * person.shoulders / 2 * h * across
        joints[f"{side}_hip"] = joints["pelvis"] + sign * person.hips / 2 * h * np.array(
            [np.sin(-twist), np.cos(twist), 0]
        )
        joints[f"{side}_ear"] = head + np.array([0.0, sign * 0.043 * h, 0.0])
        joints[f"{side}_eye"] = head + np.array([0.052 * h, sign * 0.018 * h, 0.01 * h])
    joints["nose"] = head + np.array([0.062 * h, 0.0, -0.008 * h])


def _add_leg(joints: dict[str, Array], person: Person, side: str, sign: float, phase: float, stride: float) -> None:
    h, p = person.height, phase % 1.0
    reach, toe_pitch, lift = _foot(p, STANCE * stride)
    lift = lift * person.lift if stride else 0.0
    hip = joints[f"{side}_hip"]
    ankle = np.array([reach, sign * 0.04 * h, 0.045 * h + lift])
    joints[f"{side}_knee"] = _bend(hip, ankle, 0.245 * h, (person.legs - 0.245 - 0.035) * h, forward=1.0)
    joints[f"{side}_ankle"] = ankle
    pitch = toe_pitch if stride else 0.0
    joints[f"{side}_toe"] = ankle + 0.12 * h * np.array([np.cos(pitch), sign * 0.12, np.sin(pitch)]) - [0, 0, 0.025 * h]


def _foot(p: float, length: float) -> tuple[float, float, float]:
    """Forward place of the ankle, pitch of the foot, and lift (0 to 1) at share ``p`` of the cycle."""
    if p < STANCE:
        return length * (0.5 - p / STANCE), 0.25 * max(0.0, 1 - p / 0.08), 0.0
    q = (p - STANCE) / (1 - STANCE)
    smooth = q - np.sin(2 * np.pi * q) / (2 * np.pi) * 0.9
    return length * (smooth - 0.5), -0.7 * np.sin(np.pi * min(1.0, q * 1.5)) + 0.25 * q, float(np.sin(np.pi * q) ** 0.8)


def _add_arm(joints: dict[str, Array], person: Person, side: str, sign: float, phase: float, walking: bool) -> None:
    h = person.height
    swing = -person.arm_swing * np.cos(2 * np.pi * phase) if walking else 0.05
    spread = 0.12
    upper = np.array([np.sin(swing), sign * spread, -np.cos(swing)])
    bent = swing + person.elbow * (1.0 + 0.5 * np.sin(swing))
    lower = np.array([np.sin(bent), sign * 0.02, -np.cos(bent)])
    shoulder = joints[f"{side}_shoulder"]
    elbow = shoulder + 0.172 * h * upper / np.linalg.norm(upper)
    wrist = elbow + 0.152 * h * lower / np.linalg.norm(lower)
    joints |= {f"{side}_elbow": elbow, f"{side}_wrist": wrist, f"{side}_hand": wrist + 0.09 * h * lower}


def _bend(a: Array, b: Array, first: float, second: float, forward: float) -> Array:
    """The middle joint of a two-part limb from ``a`` to ``b`` that bends forwards (cosine rule)."""
    along = b - a
    distance = float(np.clip(np.linalg.norm(along), abs(first - second) + 1e-6, first + second - 1e-6))
    axis = along / np.linalg.norm(along)
    x = (first**2 - second**2 + distance**2) / (2 * distance)
    normal = np.array([forward, 0.0, 0.0]) - axis * axis[0] * forward
    return a + x * axis + np.sqrt(max(first**2 - x**2, 0.0)) * normal / np.linalg.norm(normal)
