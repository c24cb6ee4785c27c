"""Siamese tracking as pure functions: crop geometry, anchors or points, and the recurrence."""

from armory_skelevision.tracking.frames import ChosenFrames, Frames, VideoFrames
from armory_skelevision.tracking.settings import PointSettings, TrackerSettings
from armory_skelevision.tracking.tracker import State, Step, track
from armory_skelevision.tracking.windows import Window, network_input

__all__ = [
    "ChosenFrames",
    "Frames",
    "PointSettings",
    "State",
    "Step",
    "TrackerSettings",
    "VideoFrames",
    "Window",
    "network_input",
    "track",
]
