"""Siamese tracking as pure functions: crops of a video, anchors or points, and the recurrence."""

from armory_skelevision.tracking.crops import CropDefense, Crops, TemplateMatcher
from armory_skelevision.tracking.frames import ChosenFrames, Frames, VideoFrames
from armory_skelevision.tracking.settings import MultiLevelSettings, PointSettings, QualitySettings, TrackerSettings
from armory_skelevision.tracking.tracker import Step, track
from armory_skelevision.tracking.windows import TrackerState, Window, network_input

__all__ = [
    "ChosenFrames",
    "CropDefense",
    "Crops",
    "Frames",
    "MultiLevelSettings",
    "PointSettings",
    "QualitySettings",
    "Step",
    "TemplateMatcher",
    "TrackerSettings",
    "TrackerState",
    "VideoFrames",
    "Window",
    "network_input",
    "track",
]
