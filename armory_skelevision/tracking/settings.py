"""The constants of the recurrence, and the decoding of the network's output: one class for each kind of head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from armory_skelevision.networks import RPNOutput
from armory_skelevision.tracking import anchors, points, quality_points
from armory_skelevision.tracking.proposals import Proposals
from armory_skelevision.validation import Fraction, InvalidValueError, Range, Settings


@dataclass(frozen=True)
class TrackerSettings(Settings):
    """Constants for a head with anchors; defaults as in PySOT's ``siamrpn_alex_dwxcorr``.

    Attributes:
        penalty_k: Strength of the penalty on changes of size and aspect ratio.
        window_influence: Weight of the cosine window against the score.
        learning_rate: Weight of the newly found size against the previous one, at full confidence.
        context: Margin around a box in its crop, as a share of (width + height).
        exemplar_size: Side of the template crop in pixels.
        instance_size: Side of the search crop in pixels; larger than ``exemplar_size``.
        min_size: Smallest width and height of a tracked box in pixels.
        per_position: Number of proposals at each position of the response map; no setting.
        stride: Pixels of the search crop from one position to the next; no setting.
        between_pixels: Whether crops are sampled between the pixels of a frame; no setting.
    """

    penalty_k: Annotated[float, Range(0, 100)] = 0.16
    window_influence: Fraction = 0.40
    learning_rate: Fraction = 0.30
    context: Annotated[float, Range(0, 2)] = 0.5
    exemplar_size: Annotated[int, Range(103, 511)] = 127
    instance_size: Annotated[int, Range(104, 1023)] = 287
    min_size: Annotated[float, Range(0, 1000)] = 10.0
    per_position: ClassVar[int] = len(anchors.SIZES_WH)
    stride: ClassVar[int] = anchors.STRIDE
    between_pixels: ClassVar[bool] = False

    def check(self) -> None:
        """Check that the search crop is larger than the template (`InvalidValueError`)."""
        if self.instance_size <= self.exemplar_size:
            expected = f"more than exemplar_size, {self.exemplar_size}"
            raise InvalidValueError("instance_size", expected, str(self.instance_size))

    def decode(self, output: RPNOutput) -> Proposals:
        """The proposals in the network's output for N search crops, (N, K); see `anchors.decode`."""
        return anchors.decode(output, anchors.anchors_cxcywh(output.cls.shape[-1]))


@dataclass(frozen=True)
class MultiLevelSettings(TrackerSettings):
    """Constants for SiamRPN++; defaults as in PySOT's ``siamrpn_r50_l234_dwxcorr``."""

    penalty_k: Annotated[float, Range(0, 100)] = 0.05
    window_influence: Fraction = 0.42
    learning_rate: Fraction = 0.38
    exemplar_size: Annotated[int, Range(103, 166)] = 127
    instance_size: Annotated[int, Range(167, 1023)] = 255


@dataclass(frozen=True)
class PointSettings(TrackerSettings):
    """Constants for an anchor-free head; defaults as in NanoTrack's ``configv3.yaml`` (its version 3)."""

    penalty_k: Annotated[float, Range(0, 100)] = 0.138
    window_influence: Fraction = 0.455
    learning_rate: Fraction = 0.348
    exemplar_size: Annotated[int, Range(113, 128)] = 127
    instance_size: Annotated[int, Range(114, 1023)] = 255
    per_position: ClassVar[int] = 1
    stride: ClassVar[int] = points.STRIDE

    def decode(self, output: RPNOutput) -> Proposals:
        """The proposals in the network's output for N search crops, (N, K); see `points.decode`."""
        return points.decode(output, points.points_xy(output.cls.shape[-1]))


@dataclass(frozen=True)
class QualitySettings(TrackerSettings):
    """Constants for SiamFC++; defaults as in video_analyst's ``siamfcpp_alexnet`` for VOT."""

    penalty_k: Annotated[float, Range(0, 100)] = 0.08
    window_influence: Fraction = 0.21
    learning_rate: Fraction = 0.58
    exemplar_size: Annotated[int, Range(127, 127)] = 127
    instance_size: Annotated[int, Range(175, 1023)] = 303
    per_position: ClassVar[int] = 1
    stride: ClassVar[int] = quality_points.STRIDE
    between_pixels: ClassVar[bool] = True

    def check(self) -> None:
        """Check that there is a point in the middle of the search crop (`InvalidValueError`)."""
        if (self.instance_size - self.exemplar_size) % 16:
            raise InvalidValueError("instance_size", "127 + 16 n (175, 191 … 303 …)", str(self.instance_size))

    def decode(self, output: RPNOutput) -> Proposals:
        """The proposals in the network's output for N search crops, (N, K); see `quality_points.decode`."""
        return quality_points.decode(output, points.points_xy(output.cls.shape[-1], self.stride))
