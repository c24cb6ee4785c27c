"""Forms of archives, manifests and configs that readers disagree about: each is refused, and leaves nothing behind."""

import copy
import gzip
import json
import lzma
import os
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import WEIGHTS, bundle, compress, make_config, make_files, make_tar
from safetensors.numpy import save

from armory_skelevision.evaluation.configs import build_config
from armory_skelevision.io import hash_file
from armory_skelevision.submission import archive
from armory_skelevision.submission.archive import RefusedError
from armory_skelevision.submission.evaluate import evaluate
from armory_skelevision.submission.suite import Suite
from armory_skelevision.submission.verify import Terms, verify_bundle
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.packaged import PACKAGED_WEIGHTS

SMALL = save({"t": np.zeros(1, np.float32)})
GOOD = make_files(SMALL)
TAR = make_tar(list(GOOD.items()))
MTL = PACKAGED_WEIGHTS / "siamrpn_alex_mtl.safetensors"


def entry(name: str, kind: bytes = tarfile.REGTYPE, data: bytes = b"{}", **pax: str) -> tuple[tarfile.TarInfo, bytes]:
    header = tarfile.TarInfo(name)
    header.type, header.size, header.pax_headers = kind, len(data), pax
    return header, data


def first(entry: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.GNU_FORMAT) -> bytes:
    return compress(make_tar([entry, *GOOD.items()], kind))


def field(place: int, value: bytes) -> bytes:
    """The first header with other bytes at a place, and the right checksum."""
    tar = bytearray(TAR)
    tar[place : place + len(value)] = value
    tar[148:156] = b" " * 8
    tar[148:156] = b"%06o\0 " % sum(tar[:512])
    return compress(bytes(tar))


def named(name: str) -> bytes:
    return bundle(GOOD, (name, SMALL))


SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "999999999"}
PACKED = bundle(GOOD)

ARCHIVES: dict[str, bytes] = {
    "header for all files": first(entry("pax_global_header", tarfile.XGLTYPE, b"20 comment=aaaaaaaaa\n")),
    "another path in a further header": first(entry("config.json", path="../../x"), tarfile.PAX_FORMAT),
    "another size in a further header": first(entry("config.json", size="99999999999"), tarfile.PAX_FORMAT),
    "sparse by a further header": first(entry("config.json", **SPARSE), tarfile.PAX_FORMAT),
    "header of Solaris": first(entry("x", b"X")),
    "contiguous file": first(entry("config.json", tarfile.CONTTYPE)),
    "long name of GNU": first(entry("././@LongLink", tarfile.GNUTYPE_LONGNAME, b"../../x\0")),
    "long link of GNU": first(entry("././@LongLink", tarfile.GNUTYPE_LONGLINK, b"/etc\0")),
    "part of another volume": first(entry("config.json", b"M")),
    "name of a volume": first(entry("volume", b"V")),
    "unknown type": first(entry("config.json", b"Z")),
    "folder of the old format": first(entry("weights/", tarfile.AREGTYPE, b"")),
    "folder before the name": field(345, b"../../../tmp"),
    "absolute folder before the name": field(345, b"/tmp"),
    "other magic": field(257, b"XXXXX\0"),
    "size by 96 bits": field(124, b"\x80" + b"\xff" * 11),
    "size with a sign": field(124, b"-10\0" + bytes(8)),
    "size with a plus": field(124, b"+10\0" + bytes(8)),
    "size with an underscore": field(124, b"1_0\0" + bytes(8)),
    "no size": field(124, bytes(12)),
    "mode that is no number": field(100, b"zzzzzzz\0"),
    "owner that is no number": field(108, b"notoctal"),
    "name in Latin-1": field(0, b"weights/te\xe4m.safetensors\0"),
    "name with a NUL": field(0, b"config.jso\0n"),
    "wrong checksum": compress(TAR[:148] + b"0000000\0" + TAR[156:]),
    "two archives": compress(TAR + TAR),
    "two archives, packed apart": PACKED + PACKED,
    "more, packed apart": PACKED + gzip.compress(b"x" * 1000),
    "more, not packed": PACKED + b"more",
    "file after one empty block": compress(TAR.rstrip(b"\0") + bytes(512) + TAR),
    "only empty blocks": compress(bytes(10240)),
    "wrong checksum of gzip": PACKED[:-8] + bytes(4) + PACKED[-4:],
    "wrong length of gzip": PACKED[:-4] + b"\xff" * 4,
    "name without end in gzip": b"\x1f\x8b\x08\x08" + bytes(5) + b"\xff" + b"a" * 100_000,
    "packed twice": gzip.compress(PACKED),
    "zlib": zlib.compress(TAR),
    "xz": lzma.compress(TAR),
    "not packed": TAR,
    "every file twice": bundle(GOOD, *GOOD.items()),
    "dots": bundle({f"./{name}": data for name, data in GOOD.items()}),
    **{
        name: named(name)
        for name in (
            *("Config.json", "config.json\n", "config.json/x", "weights", "weights//team_a.safetensors"),
            *("weights/./team_a.safetensors", "weights/team_\uff4d.safetensors", "weights/te\u0301am.safetensors"),
            *("weights/team_a.safetensors.", "weights/team_a.safetensors ", "weights/team_a:b.safetensors"),
            *("weights/.team.safetensors", "weights/-rf.safetensors", f"weights/{'a' * 81}.safetensors"),
            *("weights/team_a.safetensors/x", "weights/team_a.SAFETENSORS", "WEIGHTS/team_a.safetensors"),
        )
    },
}

FILES = json.loads(GOOD["manifest.json"])["files"]
MANIFESTS: dict[str, Mapping[str, Any]] = {
    **{
        f"team {team!r}": {"team": team} for team in ("", "a" * 33, "тeam", "te\x1b[31m", "a/b", "=1+1", "-a", "１", [])
    },
    **{f"version {version!r}": {"version": version} for version in ("0.1\n", None, ["0"])},
    **{f"files {files!r}": {"files": files} for files in ([], None, "x", {"config.json": "x"})},
    "file outside": {"files": {**FILES, "../x": {}}},
    "manifest in itself": {"files": {**FILES, "manifest.json": {}}},
    "sizes that are no numbers": {"files": {name: {**each, "bytes": True} for name, each in FILES.items()}},
    "more of a file": {"files": {name: {**each, "x": 1} for name, each in FILES.items()}},
    **{f"weights {weights!r}": {"weights": weights} for weights in ([], None, {}, {WEIGHTS: "x"}, {WEIGHTS: {"a": 1}})},
    **{f"claim {claimed!r}": {"claimed": claimed} for claimed in ([1], "x", {"benign": 0.1}, True)},
    **{
        f"claimed {key} {value!r}": {"claimed": {"benign": 0.1, "adversarial": 0.1, "videos": 1, key: value}}
        for key, value in (("benign", -0.1), ("benign", True), ("videos", 0), ("videos", 1.5), ("x", 1))
    },
    **{f"image {image!r}": {"docker_image": image} for image in ([], 1, "", "\x1b[2J")},
    **{f"repository {name!r}": {"external_github_repo": name} for name in ([], 1, "x", "a/b@c\n")},
}

TEXTS: dict[str, bytes] = {
    "array": b"[]",
    "null": b"null",
    "spaces": b" ",
    "UTF-16": "{}".encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "Latin-1": b'{"a": "\xe4"}',
    "half a surrogate": b'{"a": "\\ud800"}',
    "large number": b'{"a": ' + b"9" * 5000 + b"}",
    "deep": b"[" * 900 + b"]" * 900,
    "deeper": b'{"a": ' * 50_000,
    "more": b"{}{}",
}


def check_refused(data: bytes, folder: Path) -> RefusedError:
    path = folder / "bundle.tar.gz"
    path.write_bytes(data)
    with pytest.raises(RefusedError) as refused:
        verify_bundle(path, folder / "target", Terms.usual())
    assert os.listdir(folder) == [path.name]
    return refused.value


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(name: str, tmp_path: Path) -> None:
    check_refused(ARCHIVES[name], tmp_path)


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests(name: str, tmp_path: Path) -> None:
    manifest = json.dumps({**json.loads(GOOD["manifest.json"]), **MANIFESTS[name]}).encode()
    check_refused(bundle({**GOOD, "manifest.json": manifest}), tmp_path)


@pytest.mark.parametrize("name", TEXTS)
def test_texts(name: str, tmp_path: Path) -> None:
    assert check_refused(bundle({**GOOD, "manifest.json": TEXTS[name]}), tmp_path).key.startswith("manifest.json")
    files = {**GOOD, "config.json": TEXTS[name]}
    manifest = json.loads(GOOD["manifest.json"])
    (tmp_path / "config.json").write_bytes(TEXTS[name])
    manifest["files"]["config.json"] = {"sha256": hash_file(tmp_path / "config.json"), "bytes": len(TEXTS[name])}
    (tmp_path / "config.json").unlink()
    error = check_refused(bundle({**files, "manifest.json": json.dumps(manifest).encode()}), tmp_path)
    assert error.key == "config.json"


ODD = (None, [], {}, "x", 3, True, [[[]]], "\x1b[31m\n", 10**18, -1.5)
SECTIONS = [name for name in make_config() if name != "_description"]
PLACES = [
    *((name,) for name in SECTIONS if name not in ("defense", "user_init")),
    *(("sysconfig", key) for key in ("docker_image", "external_github_repo", "gpus", "output_dir", "local_repo_path")),
    *(("model", key) for key in ("module", "name", "weights_file", "fit")),
    ("defense", "kwargs", "weights_file"),
    ("defense", "module"),
]


@pytest.mark.parametrize("place", PLACES, ids=".".join)
def test_values_of_a_config_that_are_none(place: tuple[str, ...], tmp_path: Path) -> None:
    module = "armory_skelevision.defenses"
    defense = {"kwargs": {"weights_file": "x"}, "module": module, "name": "DuaLossDef", "type": "Preprocessor"}
    for value in ODD:
        config = make_config(defense=copy.deepcopy(defense))
        section: Any = config
        for key in place[:-1]:
            section = section[key]
        section[place[-1]] = value
        assert check_refused(bundle(make_files(SMALL, config)), tmp_path).key in ("config.json", "manifest.json")


def test_the_other_forms_of_a_good_bundle_are_read(tmp_path: Path) -> None:
    """The refusals above are not for what is around the tricks."""
    files = make_files(MTL.read_bytes())
    tar = make_tar(list(files.items()))
    forms = [
        bundle(files),
        gzip.compress(tar[:700]) + gzip.compress(tar[700:]),
        bundle(files) + gzip.compress(bytes(9)),
    ]
    for number, data in enumerate(forms):
        (tmp_path / "bundle.tar.gz").write_bytes(data)
        submission = verify_bundle(tmp_path / "bundle.tar.gz", tmp_path / str(number), Terms.usual())
        assert list(submission.weights) == [Path(WEIGHTS).name]


@pytest.mark.timeout(20)
def test_what_is_no_file_stops_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    with (tmp_path / "large").open("wb") as file:
        file.truncate(archive.MAX_TOTAL + 1)
    paths = sorted(tmp_path.iterdir())
    for path in paths:
        with pytest.raises(InvalidValueError) as refused:
            verify_bundle(path, tmp_path / "new", Terms.usual())
        assert refused.value.key == str(path)
    attack, data = (build_config("walkers", "mtl")[name] for name in ("attack", "dataset"))
    found = evaluate(paths, Suite("s", {"a": attack}, data), tmp_path / "out", Terms.usual())
    assert [each.bundle for each in found] == paths
    assert all(each.problem is not None and each.problem.startswith("refused: ") for each in found)


@pytest.mark.timeout(20)
def test_endless_members_of_gzip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They unpack to nothing, so only the size of the file limits them."""
    path = tmp_path / "bundle.tar.gz"
    path.write_bytes(PACKED + gzip.compress(b"") * 10_000)
    monkeypatch.setattr(archive, "MAX_TOTAL", 100_000)
    with pytest.raises(InvalidValueError) as refused:
        verify_bundle(path, tmp_path / "new", Terms.usual())
    assert refused.value.expected == "at most 100000 bytes"
