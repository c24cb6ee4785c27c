"""SiamRPN: one backbone for template and search crop, the RPN head on both, and the keypoint head on the template."""

from __future__ import annotations

from torch import Tensor

from armory_skelevision.networks.backbone import AlexNet
from armory_skelevision.networks.heads import DepthwiseRPN, RPNOutput
from armory_skelevision.networks.keypoint_head import HeadKind, KeypointHead, make_keypoint_head
from armory_skelevision.networks.siamese import SiameseNetwork
from armory_skelevision.validation import InvalidValueError


class AnchorNetwork(SiameseNetwork):
    """A network whose head has SiamRPN's five anchors at each position.

    Attributes:
        base_size: How much larger the side of the response map is than (instance size - exemplar size) / 8 + 1.
        keypoint_head: Finds human keypoints in the template's features; None for a tracker without.
    """

    per_position = 5
    stride = 8
    base_size: int
    keypoint_head: KeypointHead | None

    @property
    def keypoint_head_kind(self) -> HeadKind | None:
        """Kind of the keypoint head, or None if there is none."""
        return self.keypoint_head.kind if self.keypoint_head is not None else None

    def keypoints(self, z_features: Tensor) -> Tensor:
        """What the keypoint head finds in template features (N, 256, 6, 6).

        Returns:
            Logits (N, 17, 127, 127) or, from a head by regression, coordinates (N, 17, 2) in pixels of the template.

        Raises:
            InvalidValueError: If the network has no keypoint head.
        """
        if self.keypoint_head is None:
            expected = "'shallow', 'deep' or 'regression'"
            raise InvalidValueError("keypoint_head", expected, "null", "this network has no keypoint head")
        found: Tensor = self.keypoint_head(z_features)
        return found


class SiamRPN(AnchorNetwork):
    """The network of single-task (STL) and multi-task (MTL) trackers. It has no state beside its weights.

    Crops are BGR in 0..255, float32.

    Args:
        keypoint_head: Kind of the keypoint head, or None for a single-task tracker.
    """

    backbone: AlexNet
    architecture = "siamrpn_alex"
    base_size = 0

    def __init__(self, keypoint_head: HeadKind | None = None) -> None:
        super().__init__()
        self.backbone = AlexNet()
        self.rpn_head = DepthwiseRPN(self.per_position)
        self.keypoint_head = make_keypoint_head(keypoint_head) if keypoint_head is not None else None

    def forward_head(self, z_features: Tensor, x_features: Tensor) -> RPNOutput:
        """Compare template features (1 or N, 256, 6, 6) with search features (N, 256, h, w); see `DepthwiseRPN`."""
        output: RPNOutput = self.rpn_head(z_features, x_features)
        return output
