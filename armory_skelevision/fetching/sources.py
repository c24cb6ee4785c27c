"""What can be fetched: where it is published, under which terms, and its hash where one is published."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One published file.

    Attributes:
        name: What users call it.
        file: Its file name here.
        url: Where it is downloaded from.
        page: Where a person finds it.
        licence: Terms of use, as its publishers state them.
        sha256: Its published hash; None where none is.
        size: Its published size in bytes; None where none is.
        about: What it was made from.
    """

    name: str
    file: str
    url: str
    page: str
    licence: str
    sha256: str | None = None
    size: int | None = None
    about: str = ""


# Names, Google Drive ids, training data and licence: MODEL_ZOO.md of github.com/STVIR/pysot. No hashes are published.
# The form of the download's address is that of github.com/wkentaro/gdown.
_PYSOT = {
    "siamrpn_alex_dwxcorr": "1t62x56Jl7baUzPTo0QrC4jJnwvPZm-2m",
    "siamrpn_alex_dwxcorr_otb": "1gCpmR85Qno3C-naR3SLqRNpVfU7VJ2W0",
}
WEIGHTS = {
    name: Source(
        name=name,
        file=f"{name}.pth",
        url=f"https://drive.google.com/uc?id={drive_id}",
        page=f"https://drive.google.com/open?id={drive_id}",
        licence="CC BY-SA 3.0",
        about="PySOT's model zoo; trained on VID, YouTube-BB, COCO and ImageNet-Det",
    )
    for name, drive_id in _PYSOT.items()
}
"""PySOT's checkpoints of the network that this package has."""


def _coco(path: str, size: int, sha256: str, licence: str) -> Source:
    file = path.rsplit("/", maxsplit=1)[-1]
    return Source(
        name=file.removesuffix(".zip"),
        file=file,
        url=f"http://images.cocodataset.org/{path}",
        page="https://cocodataset.org/#download",
        licence=licence,
        sha256=sha256,
        size=size,
    )


_FLICKR = "images of Flickr, each under its own terms"

# Addresses, sizes and hashes: tensorflow_datasets/url_checksums/coco.txt, in TensorFlow Datasets 4.9.
COCO_ANNOTATIONS = _coco(
    "annotations/annotations_trainval2017.zip",
    252_907_541,
    "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
    "CC BY 4.0",
)
COCO_IMAGES = {
    "train": _coco(
        "zips/train2017.zip",
        19_336_861_798,
        "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
        _FLICKR,
    ),
    "val": _coco(
        "zips/val2017.zip",
        815_585_330,
        "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
        _FLICKR,
    ),
}
"""COCO 2017, by split."""

# Address: the data set card of huggingface.co/datasets/l-lt/LaSOT, by the data set's authors, one zip for a category.
LASOT_PERSON = Source(
    name="lasot person",
    file="person.zip",
    url="https://huggingface.co/datasets/l-lt/LaSOT/resolve/main/person.zip",
    page="https://huggingface.co/datasets/l-lt/LaSOT",
    licence="none stated on the page",
)
LASOT_SEQUENCES = tuple(f"person-{number}" for number in range(1, 21))
"""The 20 sequences of the category."""


def otb_source(folder: str) -> Source:
    """One folder of OTB2015.

    Addresses: matlab/util/MakeSequenceConfigVer10.m and …Ver11.m of github.com/jwlim/tracker_benchmark, the
    benchmark's own code. Their server is at times out of reach; the Internet Archive keeps copies (README and
    download.py of github.com/prosti221/OTB-dataset), which serve as a mirror.

    Args:
        folder: Such as "Crossing".
    """
    return Source(
        name=f"otb {folder}",
        file=f"{folder}.zip",
        url=f"http://cvlab.hanyang.ac.kr/tracker_benchmark/seq/{folder}.zip",
        page="http://cvlab.hanyang.ac.kr/tracker_benchmark/datasets.html",
        licence="none stated",
    )
