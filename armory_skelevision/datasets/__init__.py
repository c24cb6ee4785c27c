"""Data sets as ARMORY loads them: functions that return an ``ArmoryDataGenerator``.

Every batch is one video ``x`` (1, F, H, W, 3), RGB, float32 in [0, 1], and labels ``([{"boxes"}], metadata)``: boxes
(F, 4) xyxy in pixels; metadata with at least ``gs_coords`` (F, 4, 2), the corners of the patch as x, y in pixels, and
``masks`` (F, H, W, 3) uint8, non-zero where the patch is visible; `walkers`, `otb_person` and `sequences` add
``name``, that of the video. Metadata are those of the one video of the batch; attacks take a list of them, one per
video, which ARMORY makes.
ARMORY and TensorFlow are imported when a function is called. All functions raise `InvalidValueError` for an option that
is unknown or wrong and for data that cannot be read, and `MissingFileError` for missing data. They take the options
that ARMORY has for its own data sets:

Args:
    epochs: Passes over the data.
    batch_size: Videos or clips per batch.
    dataset_dir: Folder of prepared data, in which relative paths are searched, too; None for ARMORY's.
    framework: Type of the batches.
    shuffle_files: Whether the order is random; except for CARLA's videos it is the same in every run.
    index: Videos or clips to take: different numbers, or a slice as text (``[2:5]``); None for all.
"""

from armory_skelevision.datasets.carla import carla_video_tracking
from armory_skelevision.datasets.frame_source import open_frames
from armory_skelevision.datasets.otb import otb_person
from armory_skelevision.datasets.person_clips import coco_people, walker_people
from armory_skelevision.datasets.sequence_folders import sequences
from armory_skelevision.datasets.video import Video, load_video
from armory_skelevision.datasets.walker_videos import walkers

__all__ = [
    "Video",
    "carla_video_tracking",
    "coco_people",
    "load_video",
    "open_frames",
    "otb_person",
    "sequences",
    "walker_people",
    "walkers",
]
