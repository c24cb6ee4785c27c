"""Data sets that can be fetched: addresses, terms of use and hashes."""

from __future__ import annotations

from armory_skelevision.io.fetch import RemoteFile


def _coco(path: str, size: int, sha256: str, licence: str) -> RemoteFile:
    file = path.rsplit("/", maxsplit=1)[-1]
    return RemoteFile(
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
"""Images of COCO 2017, by split."""

# Address: the data set card of huggingface.co/datasets/l-lt/LaSOT, by the data set's authors; one zip per category.
LASOT_PERSON = RemoteFile(
    name="lasot person",
    file="person.zip",
    url="https://huggingface.co/datasets/l-lt/LaSOT/resolve/main/person.zip",
    page="https://huggingface.co/datasets/l-lt/LaSOT",
    licence="none stated on the page",
)


def otb_archive(name: str) -> RemoteFile:
    """The archive of one OTB2015 sequence folder, such as "Crossing".

    Addresses: matlab/util/MakeSequenceConfigVer10.m and …Ver11.m of github.com/jwlim/tracker_benchmark, the
    benchmark's own code. Its server is at times unreachable; the Internet Archive keeps copies (README and
    download.py of github.com/prosti221/OTB-dataset), which serve as a mirror.
    """
    return RemoteFile(
        name=f"otb {name}",
        file=f"{name}.zip",
        url=f"http://cvlab.hanyang.ac.kr/tracker_benchmark/seq/{name}.zip",
        page="http://cvlab.hanyang.ac.kr/tracker_benchmark/datasets.html",
        licence="none stated",
    )
