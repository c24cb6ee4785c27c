"""Human gait: joint positions over a walking cycle (no Blender).

Convention: the body frame has x forward, y to the left, z up, metres, ground at z = 0 and the pelvis above its origin.
``phase`` counts cycles; at 0 the left heel strikes. While the body moves on at `speed`, a foot on the ground rests.
"""

from __future__ import annotations

import numpy as np

from skelevision_town.person import PersonTraits
from skelevision_town.shapes import Array

STANCE = 0.6  # share of the cycle that a foot spends on the ground
HEEL_RISE = 0.33  # share of the cycle after which its heel rises
STRIKE = 0.38  # share of the stance's length that lies before the pelvis
TOE_OFF = 0.96  # pitch of the foot as it leaves the ground, radians
# In heights: the ankle above the ground, the thigh, and the toe seen from the ankle of a flat foot (forward, up).
ANKLE, THIGH, FOOT = 0.045, 0.245, (0.12, -0.025)
CYCLE_TIME = 1.08  # seconds per cycle at a stride of 0.82 times the height


def pose(person: PersonTraits, phase: float, walking: bool = True) -> dict[str, Array]:
    """Joint positions at a phase of the walking cycle.

    Args:
        person: Traits of the person.
        phase: Cycles since a heel strike of the left foot.
        walking: False gives a person who stands.

    Returns:
        Positions (3,) by name, metres: COCO's keypoints and "pelvis", "chest", "neck", "head", "left_toe", "right_toe",
        "left_hand" and "right_hand".
    """
    stride = person.stride if walking else 0.0
    pelvis = np.array([0.0, 0.02 * np.sin(2 * np.pi * phase) if walking else 0.0, _hip_height(person, phase, stride)])
    joints = {"pelvis": pelvis}
    _add_trunk(joints, person, phase, walking)
    for side, sign, offset in (("left", 1.0, 0.0), ("right", -1.0, 0.5)):
        _add_leg(joints, person, side, sign, phase + offset, stride)
        _add_arm(joints, person, side, sign, phase + offset, walking)
    return joints


def _add_trunk(joints: dict[str, Array], person: PersonTraits, phase: float, walking: bool) -> None:
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


def _add_leg(
    joints: dict[str, Array], person: PersonTraits, side: str, sign: float, phase: float, stride: float
) -> None:
    h = person.height
    reach, pitch, rise = _step(person, phase, stride)
    ankle = np.array([reach * h, sign * 0.04 * h, (ANKLE + rise) * h])
    c, s = np.cos(pitch), np.sin(pitch)
    foot = h * np.array([FOOT[0] * c - FOOT[1] * s, sign * 0.014, FOOT[0] * s + FOOT[1] * c])
    hip = joints[f"{side}_hip"]
    joints[f"{side}_knee"] = _bend(hip, ankle, THIGH * h, (person.legs - THIGH - 0.035) * h)
    joints[f"{side}_ankle"] = ankle
    joints[f"{side}_toe"] = ankle + foot


def _hip_height(person: PersonTraits, phase: float, stride: float) -> float:
    """As high as both legs reach without stretching: the pelvis vaults over the foot on the ground."""
    leg = 0.99 * (person.legs - 0.035)
    steps = [_step(person, phase + offset, stride) for offset in (0.0, 0.5)]
    return (
        float(min(person.legs, *(ANKLE + rise + np.sqrt(leg**2 - reach**2) for reach, _, rise in steps)))
        * person.height
    )


def _step(person: PersonTraits, phase: float, stride: float) -> tuple[float, float, float]:
    """One leg's cycle, in heights: the ankle's place forward, the foot's pitch (toe up, radians), the ankle's rise.

    The foot lands heel first, rests flat, then rolls over the resting toe until it leaves the ground and swings.
    """
    if not stride:
        return 0.0, 0.0, 0.0
    p, length, lift = phase % 1.0, STANCE * stride / person.height, person.lift / person.height
    if p < STANCE:
        flat = length * (STRIKE - p / STANCE)
        pitch = 0.25 * max(0.0, 1 - p / 0.08) - TOE_OFF * max(0.0, (p - HEEL_RISE) / (STANCE - HEEL_RISE)) ** 1.5
        return _roll(flat, pitch) if p > HEEL_RISE else (flat, pitch, 0.0)
    q = (p - STANCE) / (1 - STANCE)
    start, _, rise = _roll(length * (STRIKE - 1), -TOE_OFF)
    forward = q - 0.9 * np.sin(2 * np.pi * q) / (2 * np.pi)
    pitch = -TOE_OFF * (1 - q) ** 2 + 0.25 * q**2
    return start + (length * STRIKE - start) * forward, pitch, rise * (1 - q) ** 2 + lift * float(np.sin(np.pi * q))


def _roll(flat: float, pitch: float) -> tuple[float, float, float]:
    """The ankle above a toe that stays where it is on the ground while the heel has risen by ``-pitch``."""
    c, s = np.cos(pitch), np.sin(pitch)
    toe = flat + FOOT[0]
    return toe - (FOOT[0] * c - FOOT[1] * s), pitch, FOOT[1] - (FOOT[0] * s + FOOT[1] * c)


def _add_arm(
    joints: dict[str, Array], person: PersonTraits, side: str, sign: float, phase: float, walking: bool
) -> None:
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


def _bend(a: Array, b: Array, first: float, second: float) -> Array:
    """The middle joint of a two-part limb from ``a`` to ``b`` that bends forwards (cosine rule)."""
    along = b - a
    distance = float(np.clip(np.linalg.norm(along), abs(first - second) + 1e-6, first + second - 1e-6))
    axis = along / np.linalg.norm(along)
    x = (first**2 - second**2 + distance**2) / (2 * distance)
    normal = np.array([1.0, 0.0, 0.0]) - axis * axis[0]
    middle: Array = a + x * axis + np.sqrt(max(first**2 - x**2, 0.0)) * normal / np.linalg.norm(normal)
    return middle
