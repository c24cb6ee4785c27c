"""The crops of a video that a network sees: every way from pixels to a network's input goes through here.

This is the only place where tracker, attack and defense meet: an attack provides other frames, a defense changes the
crops on their way to the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from armory_skelevision.networks import SiameseNetwork
from armory_skelevision.tracking.frames import Frames
from armory_skelevision.tracking.settings import TrackerSettings
from armory_skelevision.tracking.state import initial_state, template_window
from armory_skelevision.tracking.windows import Window, network_input, resize_crop


class CropDefense:
    """A defense of crops, which changes nothing yet. Crops are (1, 3, size, size), RGB in [0, 1]."""

    def defend_template(self, crop: Tensor, crops: Crops) -> Tensor:
        """The crop that replaces the template ``crop`` of the video of ``crops``."""
        return crop

    def defend_search(self, crop: Tensor) -> Tensor:
        """The crop that replaces a search ``crop``."""
        return crop


@dataclass(eq=False)
class Crops:
    """The template and search crops of one target in one video.

    Attributes:
        network: In evaluation mode, on the device of the frames.
        frames: The video.
        box_xyxy: The target in frame 0, (4,), pixels.
        settings: Constants of the tracker.
        defenses: Applied to the crops, in this order.
    """

    network: SiameseNetwork
    frames: Frames
    box_xyxy: Tensor
    settings: TrackerSettings
    defenses: Sequence[CropDefense] = ()

    @cached_property
    def template(self) -> Tensor:
        """The target in frame 0 as the network's input: (1, 3, exemplar_size, exemplar_size), BGR in 0..255.

        It is computed on first use, and keeps a graph if gradients are on at that time.
        """
        window = template_window(initial_state(self.box_xyxy), self.settings)
        crop = resize_crop(self.frames.window(0, window), self.settings.exemplar_size)[None]
        for defense in self.defenses:
            crop = defense.defend_template(crop, self)
        return network_input(crop)

    def search(self, index: int, window: Window) -> Tensor:
        """A window of frame ``index`` as the network's input: (1, 3, instance_size, instance_size), BGR in 0..255."""
        return self.search_input(self.frames.window(index, window))

    def search_input(self, pixels: Tensor) -> Tensor:
        """The pixels (3, side, side) of a search window, RGB in [0, 1], as the network's input; see `search`."""
        crop = resize_crop(pixels, self.settings.instance_size)[None]
        for defense in self.defenses:
            crop = defense.defend_search(crop)
        return network_input(crop)
