"""Undoes the stretching of pictures to squares, by the proportions of the people in them.

Exporters of detection data sets squeeze pictures of any shape into squares and drop the original size. Most photographs
are 4:3 or 3:4, and which of the two it was shows in the people: in the other one they are nearly twice as wide.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ASPECTS = {4 / 3: 0.72, 3 / 4: 0.28}
"""Width by height that a picture may have had, and how frequent it is among photographs (COCO: 70 % are landscape)."""
MEAN, SPREAD = -0.75, 0.5
"""Mean and standard deviation of log(width / height) of the boxes of people. COCO's spread, and the mean with which its
pictures, squeezed to squares, are widened and narrowed by the right factor on average."""


def estimate_aspect(sizes_wh: NDArray[np.floating]) -> float:
    """The aspect, width by height, in which the people of a square picture have the most likely proportions.

    Args:
        sizes_wh: (n, 2) width and height of people's boxes in the square picture, any unit, above 0; n is at least 1.
    """
    stored = np.log(sizes_wh[:, 0] / sizes_wh[:, 1])

    def score(aspect: float) -> float:
        # people of one picture are alike (children, close-ups), so they count as one together
        deviation = (stored + np.log(aspect) - MEAN) / SPREAD
        return float(np.log(ASPECTS[aspect]) - 0.5 * np.mean(deviation**2))

    return max(ASPECTS, key=score)
