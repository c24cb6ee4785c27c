"""Entries of the leaderboard: measured by one protocol, measured again, and refused where they are forged."""

import base64
import copy
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from html_page import Page
from sequence_data import lines, write_image

from armory_skelevision.datasets.walker_videos import SPLITS
from armory_skelevision.io.images import read_image
from armory_skelevision.io.records import parse_record
from armory_skelevision.leaderboard import protocol
from armory_skelevision.leaderboard.add import Wanted, add_entry
from armory_skelevision.leaderboard.entry import (
    AttackPart,
    Data,
    DefensePart,
    Entry,
    VideoScore,
    find_patch,
    find_patches,
    read_entries,
    read_entry,
)
from armory_skelevision.leaderboard.page import list_boards, render_page
from armory_skelevision.leaderboard.protocol import Subject
from armory_skelevision.leaderboard.verify import ATTACK_TOLERANCE, TOLERANCE
from armory_skelevision.leaderboard.videos import Videos, open_videos
from armory_skelevision.validation import InvalidValueError
from armory_skelevision.weights.packaged import packaged_weights

ROOT = Path(__file__).parent.parent.parent
PICTURES = ("img/00001.jpg", "img/00002.jpg", "img/00003.jpg")
Run = Callable[..., tuple[int, str, str]]
Write = Callable[[dict[str, Any]], Path]
Change = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """STL under a tiny budget: the first of three videos is measured, the others have made-up scores and its patch."""

    def attack_first(
        subject: Subject, videos: Videos, attack: AttackPart, numbers: range, patches: Path
    ) -> Iterator[VideoScore]:
        (first,) = protocol.attack_videos(subject, videos, attack, numbers[:1], patches)
        yield first
        for number in numbers[1:]:
            shutil.copy(find_patch(patches, 0), find_patch(patches, number))
            yield VideoScore(number, 0.75, 0.5, 1.0, first.patch)

    path = tmp_path_factory.mktemp("entries") / "entry.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("armory_skelevision.leaderboard.add.attack_videos", attack_first)
        add_entry(path, Wanted("siamrpn_stl", None, None, None, "mini", 3, 2), "a test", device="cpu")
    return path


@pytest.fixture
def entry(measured: Path) -> Entry:
    return read_entry(measured)


@pytest.fixture
def values(measured: Path) -> dict[str, Any]:
    """The same as an object of JSON."""
    read: dict[str, Any] = json.loads(measured.read_bytes())
    return read


@pytest.fixture
def write(measured: Path, tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Writes an entry with the patches of the measured one."""

    def write_values(values: dict[str, Any]) -> Path:
        path = tmp_path / "entry.json"
        path.write_text(json.dumps(values))
        shutil.copytree(find_patches(measured), find_patches(path))
        return path

    return write_values


@pytest.fixture
def _measures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("armory_skelevision.leaderboard.verify.replay_videos", None)


def test_an_entry_says_all_that_decides_it(measured: Path, entry: Entry, values: dict[str, Any]) -> None:
    assert parse_record(Entry, values, "entry.json") == entry
    weights = packaged_weights("siamrpn_alex_stl.safetensors")
    assert entry.tracker.weights.file == weights.name
    assert entry.tracker.weights.sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
    files = sorted((SPLITS / "mini").iterdir())
    lines = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    assert entry.data == Data("walkers", "mini", hashlib.sha256(lines.encode()).hexdigest(), 3)
    assert entry.attack == AttackPart("AutoPatch", 2, "float32", 0, True)
    assert [video.number for video in entry.videos] == [0, 1, 2]
    first = entry.videos[0]
    assert 0 < first.worst_case < first.benign < 1
    picture = find_patch(find_patches(measured), 0)
    assert first.patch == hashlib.sha256(picture.read_bytes()).hexdigest()
    assert min(read_image(picture).shape[:2]) > 20
    assert entry.seconds >= first.seconds > 0
    assert "--budget 2" in entry.command
    assert "/" not in entry.command


def test_a_true_entry_is_verified(run: Run, values: dict[str, Any], write: Write) -> None:
    values["videos"][2]["benign"] = values["videos"][2]["worst_case"] = 0.99  # forged, and not looked at
    values["videos"][0]["worst_case"] -= 0.9 * TOLERANCE
    path = write(values)
    code, out, err = run("leaderboard", "verify", path, "--videos", "0", "--device", "cpu")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == f"{path}: verified on 1 of 3 videos"


def test_a_better_number_is_found_out(run: Run, values: dict[str, Any], write: Write) -> None:
    forged = values["videos"][0]
    forged["benign"] = forged["worst_case"] = 0.99
    values["version"] = "0.0.1"
    code, out, err = run("leaderboard", "verify", write(values), "--videos", "0", "--device", "cpu")
    assert code == 1
    assert "verified" not in out
    note, benign, worst = err.splitlines()
    assert note.startswith("note: measured with version 0.0.1")
    assert benign.startswith("error: video 0: benign: the entry says 0.9900, measured ")
    assert worst.startswith("error: video 0: worst case: the entry says 0.9900, measured ")


def test_a_patch_that_is_too_weak_is_found_out(
    run: Run, measured: Path, values: dict[str, Any], write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attack(_: Subject, __: Videos, ___: AttackPart, numbers: list[int], ____: Path) -> Iterator[VideoScore]:
        read = read_entry(measured).videos
        return (replace(read[number], worst_case=read[number].worst_case - less) for number in numbers)

    monkeypatch.setattr("armory_skelevision.leaderboard.verify.attack_videos", attack)
    options = ("leaderboard", "verify", write(values), "--videos", "0", "--attack", "--device", "cpu")
    less = 0.9 * ATTACK_TOLERANCE
    assert run(*options)[0] == 0
    less = 1.1 * ATTACK_TOLERANCE
    code, out, err = run(*options)
    assert code == 1
    said = values["videos"][0]["worst_case"]
    assert f"worst case under a patch of now {said - less:.4f}" in out
    assert err == f"error: mean of videos 0: the entry's patches leave {said:.4f}, those of now {said - less:.4f}\n"


def test_other_patches_are_refused(run: Run, values: dict[str, Any], write: Write) -> None:
    path = write(values)
    picture = find_patch(find_patches(path), 1)
    hidden = picture.rename(path.parent / "hidden.png")
    for prepare, part in (
        (lambda: None, str(picture)),
        (lambda: picture.symlink_to(hidden), "a link that leads out"),
        (lambda: cv2.imwrite(str(picture), np.zeros((9, 9, 3), np.uint8)), "SHA-256"),
    ):
        picture.unlink(missing_ok=True)
        prepare()
        code, out, err = run("leaderboard", "verify", path, "--device", "cpu")
        assert (code, out) == (1, "")
        assert part in err


def forge(*keys: str | int, value: Any) -> Change:
    def change(values: dict[str, Any]) -> None:
        owner: Any = values
        for key in keys[:-1]:
            owner = owner[key]
        owner[keys[-1]] = value

    return change


OTB = {"name": "otb_person", "split": "Walk", "sha256": "0" * 64, "frames": 3}
DEFENSE = {"name": "TemplateAdaptation", "kwargs": {}, "weights": None}


@pytest.mark.usefixtures("_measures_nothing")
@pytest.mark.parametrize(
    ("change", "key"),
    [
        (forge("tracker", "weights", "sha256", value="0" * 64), "tracker.weights"),
        (forge("tracker", "weights", "file", value="siamrpn_alex_mtl.safetensors"), "tracker.weights"),
        (forge("tracker", "name", value="os"), "tracker.name"),
        (forge("tracker", "name", value="my_module:make"), "tracker.name"),
        (forge("data", "sha256", value="0" * 64), "data.sha256"),
        (forge("data", "split", value="dev"), "data.sha256"),
        (forge("data", value=OTB), "otb"),
        (lambda values: values["videos"].pop(), "videos"),
        (forge("videos", 1, "patch", value="0" * 64), "videos.1.patch"),
        (forge("defense", value={**DEFENSE, "name": "os"}), "defense.name"),
        (forge("defense", value={**DEFENSE, "kwargs": {"epz": 1}}), "defense.kwargs"),
    ],
)
def test_other_files_are_refused_before_anything_is_measured(
    run: Run, values: dict[str, Any], write: Write, change: Change, key: str
) -> None:
    change(values)
    code, out, err = run("leaderboard", "verify", write(values), "--device", "cpu")
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {key}: expected ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (forge("best", value=True), "best"),
        (lambda values: values.pop("command"), "command"),
        (forge("format", value="2"), "format"),
        (forge("videos", 1, "worst_case", value=1.0), "videos.1.worst_case"),
        (forge("videos", 1, "benign", value=1.5), "videos.1.benign"),
        (forge("videos", 1, "number", value=7), "videos"),
        (forge("videos", value=[]), "videos"),
        (forge("tracker", "weights", "file", value="../mine.safetensors"), "tracker.weights.file"),
        (forge("tracker", "weights", "sha256", value="ABC"), "tracker.weights.sha256"),
        (forge("videos", 1, "patch", value="00.png"), "videos.1.patch"),
        (forge("attack", "precision", value="bf16"), "attack.precision"),
        (forge("attack", "seed", value=1), "attack.seed"),
        (forge("attack", "budget", value=True), "attack.budget"),
        (forge("data", "frames", value=1), "data.frames"),
        (forge("data", "split", value="Walk"), "data.split"),
        (forge("data", value={**OTB, "split": "../Walk"}), "data.split"),
        (forge("data", value={**OTB, "split": "Walk+Jog"}), "data.split"),
        (forge("data", value={**OTB, "split": "Walk+Walk"}), "data.split"),
        (forge("defense", value={**DEFENSE, "kwargs": {"differentiable": False}}), "defense.kwargs.differentiable"),
        (forge("submitted", "on", value="20261231"), "submitted.on"),
        (forge("submitted", "by", value=""), "submitted.by"),
        (forge("submitted", "reference", value="javascript:alert(1)"), "submitted.reference"),
    ],
)
def test_what_is_no_entry_is_refused(values: dict[str, Any], change: Change, key: str) -> None:
    change(values)
    with pytest.raises(InvalidValueError) as error:
        parse_record(Entry, values, "entry.json")
    assert error.value.key == f"entry.json.{key}"


@pytest.mark.parametrize("videos", ["", "a", "3", "0,,1", "-1", "1.5"])
def test_videos_that_are_none_are_refused(run: Run, values: dict[str, Any], write: Write, videos: str) -> None:
    code, out, err = run("leaderboard", "verify", write(values), f"--videos={videos}")
    assert (code, out) == (1, "")
    assert "videos: expected " in err


def test_add_checks_all_before_it_measures(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("armory_skelevision.leaderboard.add.attack_videos", None)
    existing = tmp_path / "old.json"
    existing.write_text("mine")
    path, mini = tmp_path / "new.json", ("--by", "a test", "--split", "mini")
    taken = tmp_path / "taken.json"
    find_patches(taken).mkdir()
    find_patch(find_patches(taken), 0).write_text("mine")
    section = tmp_path / "defense.json"
    section.write_text(json.dumps({"name": "TemplateAdaptation", "kwargs": {"differentiable": False}}))
    for options, key in (
        ((existing, *mini), str(existing)),
        ((taken, *mini), str(find_patches(taken))),
        ((tmp_path / "new.txt", *mini), "entry"),
        ((path, *mini, "--tracker", "siamrpn_slt"), "tracker"),
        ((path, *mini, "--tracker", "nanotrack"), "weights"),
        ((path, *mini, "--weights", tmp_path / "none.safetensors"), "weights_file"),
        ((path, *mini, "--defense", "PGD"), "defense.name"),
        ((path, *mini, "--defense", section), "defense.kwargs.differentiable"),
        ((path, *mini, "--defense-weights", existing), "defense_weights"),
        ((path, "--by", " "), "by"),
        ((path, *mini, "--otb", tmp_path), "--split"),
        ((path, *mini, "--sequences", "Walk"), "--sequences"),
        ((path, "--by", "me", "--otb", tmp_path, "--sequences", "Walk"), str(tmp_path)),
        ((path, "--by", "me", "--otb", tmp_path, "--sequences", "Walk,"), "--sequences"),
        ((path, "--by", "me", "--otb", tmp_path), str(tmp_path)),
        ((path, *mini, "--reference", "here"), "reference"),
    ):
        code, out, err = run("leaderboard", "add", *options)
        assert (code, out) == (1, ""), options
        assert err.startswith(f"error: {key}: expected "), err
    assert existing.read_text() == "mine"
    assert not path.exists()


def test_add_writes_the_entry(
    run: Run, measured: Path, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attack(*arguments: Any) -> list[VideoScore]:
        shutil.copytree(find_patches(measured), arguments[-1], dirs_exist_ok=True)
        return list(entry.videos)

    monkeypatch.setattr("armory_skelevision.leaderboard.add.attack_videos", attack)
    path, section = tmp_path / "entries" / "new.json", tmp_path / "mine.json"
    section.write_text(
        json.dumps(
            {
                "module": "armory_skelevision.defenses",
                "name": "DuaLossDef",
                "kwargs": {"branches": "search", "weights_file": "dualossdef_small.safetensors"},
                "type": "Preprocessor",
            }
        )
    )
    options = ("--by", "me", "--tracker", "siamrpn_stl", "--defense", section, "--split", "mini", "--device", "cpu")
    code, out, err = run("leaderboard", "add", path, *options)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == str(path)
    made = read_entries(path.parent)["new"]
    assert made.videos == entry.videos
    assert [each.name for each in sorted(find_patches(path).iterdir())] == ["00.png", "01.png", "02.png"]
    assert made.defense is not None and made.defense.weights is not None
    assert (made.defense.name, made.defense.kwargs) == ("DuaLossDef", {"branches": "search"})
    weights = packaged_weights("dualossdef_small.safetensors")
    assert made.defense.weights == protocol.describe_weights(weights)
    assert (made.data.frames, made.attack.budget) == (20, 100)
    assert sorted(path.parent.iterdir()) == [find_patches(path), path]


def test_patches_that_were_found_earlier_are_shown(run: Run, measured: Path, entry: Entry, tmp_path: Path) -> None:
    path, given = tmp_path / "entries" / "new.json", find_patches(measured)
    options = ("--by", "me", "--tracker", "siamrpn_stl", "--split", "mini", "--frames", "3", "--budget", "2")
    code, out, err = run("leaderboard", "add", path, *options, "--device", "cpu", "--patches", tmp_path)
    assert (code, out) == (1, "")
    assert str(find_patch(tmp_path, 0)) in err
    assert not find_patches(path).exists()
    assert run("leaderboard", "add", path, *options, "--device", "cpu", "--patches", given)[0] == 0
    made = read_entry(path)
    first = made.videos[0]
    assert first == replace(entry.videos[0], seconds=None)
    assert made.videos[1].benign not in (entry.videos[1].benign, first.benign)
    assert made.seconds is None
    assert "--patches PATCHES" in made.command
    assert run("leaderboard", "verify", path, "--device", "cpu")[0] == 0
    assert "measured in" not in render_page({"new": made})


def test_an_interrupted_measurement_goes_on(
    run: Run, measured: Path, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def attack(_: Subject, __: Videos, ___: AttackPart, numbers: range, patches: Path) -> Iterator[VideoScore]:
        for number in numbers:
            asked.append(number)
            if asked == [0, 1, 2]:
                raise InvalidValueError("the lights", "on", "off")
            shutil.copy(find_patch(find_patches(measured), number), patches)
            yield entry.videos[number]

    monkeypatch.setattr("armory_skelevision.leaderboard.add.attack_videos", attack)
    path = tmp_path / "entries" / "new.json"
    options = ("--by", "me", "--tracker", "siamrpn_stl", "--split", "mini", "--device", "cpu")
    assert run("leaderboard", "add", path, *options)[0] == 1
    assert not path.exists()

    for others in (("--budget", "7"), ("--tracker", "siamrpn_mtl")):
        code, _, err = run("leaderboard", "add", path, *options, *others)
        assert code == 1
        name = "attack" if "--budget" in others else "tracker"
        assert err.startswith(f"error: {path}.part.{name}: expected ")
        assert "delete it" in err
    picture = find_patch(find_patches(path), 1)
    kept = picture.read_bytes()
    picture.write_bytes(b"another")
    code, _, err = run("leaderboard", "add", path, *options)
    assert (code, err.split(":")[1]) == (1, " videos.1.patch")
    assert asked == [0, 1, 2]

    picture.write_bytes(kept)
    assert run("leaderboard", "add", path, *options)[0] == 0
    assert asked == [0, 1, 2, 2]
    assert read_entries(path.parent)["new"].videos == entry.videos
    assert sorted(path.parent.iterdir()) == [find_patches(path), path]


def test_the_attack_goes_through_the_defense(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = DefensePart("DuaLossDef", {}, protocol.describe_weights(packaged_weights("dualossdef_small.safetensors")))
    weights = [packaged_weights(f"{name}.safetensors") for name in ("siamrpn_alex_stl", "dualossdef_small")]
    subject = protocol.load_subject(entry.tracker, part, *weights, device="cpu")
    forward = subject.defense.network.forward
    with_gradient = []

    def watch(crops: Any) -> Any:
        cleaned = forward(crops)
        with_gradient.append(crops.requires_grad and cleaned.requires_grad)
        return cleaned

    monkeypatch.setattr(subject.defense.network, "forward", watch)
    videos = open_videos("walkers", "mini", 2, None)
    attack = AttackPart("AutoPatch", 1, "float32", 0, True)
    (score,) = protocol.attack_videos(subject, videos, attack, [1], tmp_path)
    assert score.number == 1
    assert any(with_gradient)
    assert subject.tracker.preprocessing_defences in (None, [])


@pytest.fixture
def otb(tmp_path: Path) -> Path:
    """A folder of two sequences of noise, with the boxes of somebody who walks."""
    for name in ("Jog", "Walk"):
        for number in range(1, 5):
            write_image(tmp_path / f"otb/{name}/img/{number:05d}.jpg", number + len(name), (160, 120))
        boxes = lines([(50 + x, 40, 12, 30) for x in (0, 2, 4, 6)])
        (tmp_path / f"otb/{name}/groundtruth_rect.txt").write_text(boxes)
    return tmp_path / "otb"


def test_real_sequences_have_a_track_of_their_own(run: Run, entry: Entry, otb: Path, tmp_path: Path) -> None:
    path = tmp_path / "real.json"
    options = ("--tracker", "siamrpn_stl", "--frames", "3", "--budget", "1", "--device", "cpu", "--otb", otb)
    code, _, err = run("leaderboard", "add", path, "--by", "me", *options, "--sequences", "Walk,Jog")
    assert (code, err) == (0, "")
    made = read_entry(path)
    assert (made.data.name, made.data.split, made.data.frames) == ("otb_person", "Jog+Walk", 3)
    files = [f"{name}/{file}" for name in ("Jog", "Walk") for file in ("groundtruth_rect.txt", *PICTURES)]
    hashes = {file: hashlib.sha256((otb / file).read_bytes()).hexdigest() for file in files}
    listed = "".join(f"{hashes[file]}  {file.replace('img/', '')}\n" for file in files)
    assert made.data.sha256 == hashlib.sha256(listed.encode()).hexdigest()
    assert "--otb OTB --sequences Jog,Walk" in made.command and str(otb) not in made.command
    picture = read_image(find_patch(find_patches(path), 1))
    assert picture.shape[:2] == (96, 128)  # all but a tenth at each side, as the paper's

    verify = ("leaderboard", "verify", path, "--device", "cpu")
    assert run(*verify, "--otb", otb, "--videos", "1")[0] == 0
    assert run(*verify)[2].startswith("error: otb: expected the folder of OTB's sequences")
    (otb / "Jog/img/00004.jpg").unlink()  # which is not among the first three
    (otb / "Jog/groundtruth_rect.txt").write_text(lines([(50, 40, 12, 30)] * 3))
    code, _, err = run(*verify, "--otb", otb, "--videos", "1")
    assert code == 1 and err.startswith("error: data.sha256: expected ")

    walkers, real = list_boards({"walkers": entry, "real": made})
    assert real.title == "otb_person/Jog+Walk, first 3 frames, AutoPatch with 1 gradient evaluation"
    assert real.is_current and walkers.data == "walkers"
    assert "real.json --otb OTB" in render_page({"real": made})


def test_packaged_videos_are_not_looked_for_elsewhere(run: Run, measured: Path, otb: Path) -> None:
    code, _, err = run("leaderboard", "verify", measured, "--otb", otb)
    assert code == 1 and err.startswith("error: otb: expected none for the packaged videos")


def read_page(entries: dict[str, Entry], folder: Path) -> Page:
    path = folder / "board.html"
    path.write_text(render_page(entries), encoding="utf-8")
    return Page(path)


def test_the_page_of_the_guides_is_as_the_entries_are() -> None:
    page = (ROOT / "docs" / "board.html").read_text(encoding="utf-8")
    assert page == render_page(read_entries(ROOT / "leaderboard")), "run: skelevision leaderboard page"


def test_the_page_without_entries_says_so(tmp_path: Path) -> None:
    page = read_page({}, tmp_path)
    assert page.tables == {}
    assert "No entries yet." in " ".join(page.words)
    assert "0 entries" in " ".join(page.words)


def test_the_page_ranks_what_was_measured_alike(values: dict[str, Any], tmp_path: Path) -> None:
    entries = {}
    for name, worst, budget in (("b", 0.25, 2), ("a", 0.5, 2), ("tie", 0.5, 2), ("small", 0.75, 1)):
        changed = copy.deepcopy(values)
        changed["attack"]["budget"] = budget
        for video in changed["videos"]:
            video["benign"], video["worst_case"] = 0.875, worst
        changed["submitted"]["by"] = f"<script>{name}"
        changed["submitted"]["reference"] = "https://example.org/?a=1&b=2"
        entries[name] = parse_record(Entry, changed, name)
    smaller, larger = list_boards(entries)
    assert [row.name for row in smaller.rows] == ["small"]
    assert [(row.rank, row.name) for row in larger.rows] == [(1, "a"), (1, "tie"), (3, "b")]
    page = read_page(entries, tmp_path)
    _, *rows = page.tables["board-2"]
    assert [row[3].split()[0] for row in rows] == ["0.500", "0.500", "0.250"]
    assert [row[7] for row in rows] == ["<script>a", "<script>tie", "<script>b"]
    assert page.tags.count("script") == 1
    assert {each for each in page.asked if not each.startswith("data:")} == {
        "leaderboard.html",
        "https://example.org/?a=1&b=2",
    }


def test_entries_of_earlier_files_have_a_table_of_their_own(values: dict[str, Any]) -> None:
    entry = parse_record(Entry, values, "now")
    values["data"]["sha256"] = "0" * 64
    boards = list_boards({"old": parse_record(Entry, values, "old"), "now": entry})
    assert [(board.is_current, board.rows[0].name) for board in boards] == [(True, "now"), (False, "old")]
    assert "earlier files" in boards[1].title


def test_the_page_runs_its_own_script_only(tmp_path: Path) -> None:
    source = read_page({}, tmp_path).source
    (script,) = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in source
    assert "default-src 'none'" in source


def test_the_command_writes_the_page(run: Run, values: dict[str, Any], write: Write, tmp_path: Path) -> None:
    folder, out = write(values).parent, tmp_path / "docs" / "board.html"
    (folder / "README.md").write_text("no entry")
    for _ in range(2):  # an earlier page is replaced
        assert run("leaderboard", "page", "--entries", folder, "--out", out) == (0, f"{out}: 1 entry\n", "")
    out.write_text("mine")
    code, _, err = run("leaderboard", "page", "--entries", folder, "--out", out)
    assert (code, out.read_text()) == (1, "mine")
    assert str(out) in err
