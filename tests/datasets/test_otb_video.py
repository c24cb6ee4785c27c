"""A sequence of OTB with the patch of the SkeleVision paper, as one video."""

from pathlib import Path

import numpy as np
from sequence_data import lines, write_image

from armory_skelevision.datasets.otb_patch import place_patch
from armory_skelevision.datasets.otb_sequences import find_sequences
from armory_skelevision.datasets.otb_video import load_overlaid


def test_the_first_frames_with_the_place_for_the_patch(tmp_path: Path) -> None:
    for number in range(1, 5):
        write_image(tmp_path / f"Walk/img/{number:05d}.jpg", number, (160, 120))
    (tmp_path / "Walk/groundtruth_rect.txt").write_text(lines([(50 + x, 40, 12, 30) for x in (0, 2, 4, 6)]))
    (sequence,) = find_sequences(tmp_path)
    assert len(load_overlaid(sequence)) == 4
    video = load_overlaid(sequence, 3)
    assert (video.name, video.frames.shape) == ("Walk", (3, 120, 160, 3))
    np.testing.assert_array_equal(video.boxes_xyxy, sequence.boxes_xyxy[:3])
    placed = place_patch(video.boxes_xyxy, 120, 160)
    for part in (slice(0, 3), slice(1, 3)):  # a part of the video is no screen, either
        metadata = video[part].patch_metadata
        assert metadata["shading"] is False
        for key in ("gs_coords", "masks"):
            np.testing.assert_array_equal(metadata[key], placed[key][part])
