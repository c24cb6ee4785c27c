"""Folders of results that lead elsewhere, never end, or belong to somebody: nothing of it is shown or written over."""

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from handmade_results import make_config, make_frames, make_results, write_plan, write_result, write_run, write_sweep
from html_page import Page
from PIL import Image

from armory_skelevision.attacks.patch.files import write_patch
from armory_skelevision.io import read_bytes
from armory_skelevision.results.load import elapsed_seconds, load_runs
from armory_skelevision.results.report import filmstrips, qualitative
from armory_skelevision.results.report.writing import write_report
from armory_skelevision.validation import InvalidValueError

SECRET = b"a secret of this machine"
NAME = "batch_0_ex_0_scenario.x_adv"


@pytest.fixture(autouse=True)
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take most of a report's time, and have no files."""
    monkeypatch.setattr("armory_skelevision.results.report.charts.draw_chart", lambda *_, **__: "")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder outside of the results, with one of everything that a report embeds."""
    folder = tmp_path / "home"
    (folder / NAME).mkdir(parents=True)
    (folder / NAME / f"video_{NAME}_with_boxes.mp4").write_bytes(SECRET)
    for number in range(3):
        Image.new("RGB", (64, 48), (255, 0, 0)).save(folder / NAME / f"{NAME}_frame_{number:04d}.png")
    write_patch(folder / "patch_000", np.zeros((8, 8, 3), np.float32), {"step_size": 0.1, "max_iter": 10})
    write_result(folder / "result.json", make_results((0.125,)), make_config())
    return folder


def write(folder: Path, export: str = "patches") -> Path:
    """A sweep's folder with one run, whose videos are in ``run/saved_samples``, where nothing is yet."""
    write_plan(folder)
    frames = [make_frames((1.0, 0.5, 0.25), side=side) for side in ("benign", "adversarial")]
    results = make_results((0.375,), (0.375,), **frames[0], **frames[1])
    config = make_config()
    config["attack"]["kwargs"] = {"step_size": 0.1, "max_iter": 10, "export": export}
    return write_run(folder / "run", config, results)


def link_video(run: Path, secret: Path) -> None:
    (run / "saved_samples" / NAME).mkdir(parents=True)
    name = f"video_{NAME}_with_boxes.mp4"
    (run / "saved_samples" / NAME / name).symlink_to(secret / NAME / name)


def link_frames(run: Path, secret: Path) -> None:
    (run / "saved_samples" / NAME).mkdir(parents=True)
    for path in (secret / NAME).glob("*.png"):
        (run / "saved_samples" / NAME / path.name).symlink_to(path)


def link_samples(run: Path, secret: Path) -> None:
    (run / "saved_samples").symlink_to(secret, target_is_directory=True)


def link_by_way_of_the_folder(run: Path, secret: Path) -> None:
    (run / "saved_samples").mkdir()
    (run / "saved_samples" / NAME).symlink_to(Path("..") / ".." / ".." / "home" / NAME)


def link_patches(run: Path, secret: Path) -> None:
    (run / "patches").symlink_to(secret, target_is_directory=True)


def link_picture(run: Path, secret: Path) -> None:
    write_patch(run / "patches" / "patch_000", np.zeros((8, 8, 3), np.float32), {"step_size": 0.1})
    (run / "patches" / "patch_000.png").unlink()
    (run / "patches" / "patch_000.png").symlink_to(secret / "patch_000.png")


def link_settings(run: Path, secret: Path) -> None:
    write_patch(run / "patches" / "patch_000", np.zeros((8, 8, 3), np.float32), {"step_size": 0.1})
    (run / "patches" / "patch_000.json").unlink()
    (run / "patches" / "patch_000.json").symlink_to(secret / "patch_000.json")


LINKS = [link_video, link_frames, link_samples, link_by_way_of_the_folder, link_patches, link_picture, link_settings]


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.__name__)
def test_nothing_from_elsewhere_is_embedded(tmp_path: Path, secret: Path, link: Callable[[Path, Path], None]) -> None:
    run = write(tmp_path / "sweep")
    link(run, secret)
    written = write_report([tmp_path / "sweep"], tmp_path / "out", videos=True)
    page = Page(written.page)
    assert page.tags.count("image") == page.tags.count("img") == page.tags.count("video") == 0
    assert base64.b64encode(SECRET).decode() not in page.source
    assert written.problems
    assert all("out of it" in problem.got and str(run) in problem.key for problem in written.problems)


@pytest.mark.parametrize("export", ["{secret}", "../../home", "patches/../../../home"])
def test_a_config_names_no_folder_of_this_machine(tmp_path: Path, secret: Path, export: str) -> None:
    write(tmp_path / "sweep", export.format(secret=secret))
    written = write_report([tmp_path / "sweep"], tmp_path / "out")
    assert Page(written.page).tags.count("img") == 0
    assert written.problems == ()  # a run of the user's own may have exported there


def test_links_within_the_folder_are_followed(tmp_path: Path, secret: Path) -> None:
    run = write(tmp_path / "sweep")
    secret.rename(tmp_path / "sweep" / "exported")
    link_samples(run, tmp_path / "sweep" / "exported")
    link_patches(run, tmp_path / "sweep" / "exported")
    (tmp_path / "link").symlink_to(tmp_path / "sweep")  # the user's own
    page = Page(write_report([tmp_path / "link"], tmp_path / "out", videos=True).page)
    assert [page.tags.count(tag) for tag in ("image", "img", "video")] == [2, 1, 1]


@pytest.mark.parametrize("name", ["result.json", "run.json", "config.json"])
def test_no_record_is_read_from_elsewhere(tmp_path: Path, secret: Path, name: str) -> None:
    run = write(tmp_path / "sweep")
    (secret / name).write_text((run / name).read_text())
    (run / name).unlink()
    (run / name).symlink_to(secret / name)
    (problem,) = load_runs([tmp_path / "sweep"]).problems
    assert problem.key == str(run / name)


def test_no_plan_log_or_run_is_read_from_elsewhere(tmp_path: Path, secret: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep")
    (secret / "runs.json").write_text((sweep / "runs.json").read_text())
    (sweep / "runs.json").unlink()
    (sweep / "runs.json").symlink_to(secret / "runs.json")
    (sweep / "elsewhere").symlink_to(secret, target_is_directory=True)
    loaded = load_runs([sweep])
    assert {problem.key for problem in loaded.problems} == {str(sweep / "runs.json"), str(sweep / "elsewhere")}
    assert "elsewhere" not in {run.name for run in loaded.runs}
    outputs = tmp_path / "outputs"
    (outputs / "a").mkdir(parents=True)
    (secret / "log").write_text("2026-11-21 14:55:24 5m58s ERROR a secret\n")
    (outputs / "a" / "armory-log.txt").symlink_to(secret / "log")
    (outputs / "b").symlink_to(secret, target_is_directory=True)
    loaded = load_runs([outputs])
    assert [problem.key for problem in loaded.problems] == [str(outputs / "b")]
    (run,) = loaded.runs
    assert (run.name, run.log_end, run.seconds) == ("a", "", None)


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        write_result(tmp_path / "outputs" / name / "result.json", make_results((0.5,)), make_config())
    list_all = Path.iterdir

    def refuse_one(folder: Path) -> Iterator[Path]:
        if folder.name == "b":
            raise PermissionError(13, "Permission denied", str(folder))
        return list_all(folder)

    monkeypatch.setattr(Path, "iterdir", refuse_one)
    loaded = load_runs([tmp_path / "outputs"])
    assert [run.name for run in loaded.runs] == ["a"]
    assert [problem.key for problem in loaded.problems] == [str(tmp_path / "outputs" / "b")]


@pytest.mark.parametrize("name", ["../home", "/etc", "..", "", "a\0b", "x" * 300, "a/b"])
def test_a_plan_names_no_folder_elsewhere(tmp_path: Path, secret: Path, name: str) -> None:
    write_plan(tmp_path / "sweep", runs=[{"name": name}])
    loaded = load_runs([tmp_path / "sweep"])
    assert loaded.runs == ()
    assert loaded.problems[0].key == f"{tmp_path / 'sweep' / 'runs.json'}: name"


def test_the_opened_file_counts_and_not_its_name(tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside = write(tmp_path / "sweep") / "video.mp4"
    inside.symlink_to(secret / "patch_000.png")
    examine = os.fstat

    def swap_and_examine(descriptor: int) -> os.stat_result:
        inside.unlink(missing_ok=True)
        inside.write_bytes(b"a harmless one")
        return examine(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", swap_and_examine)
        with pytest.raises(InvalidValueError) as caught:
            read_bytes(inside, inside=tmp_path / "sweep")
    assert (caught.value.key, caught.value.got) == (str(inside), "a link that leads out of it")
    assert read_bytes(inside, inside=tmp_path / "sweep") == b"a harmless one"


@pytest.mark.parametrize("name", ["result.json", "run.json", "config.json", "log.txt"])
def test_pipes_are_not_waited_for(tmp_path: Path, name: str) -> None:
    run = write(tmp_path / "sweep")
    (run / name).unlink(missing_ok=True)
    os.mkfifo(run / name)
    loaded = load_runs([tmp_path / "sweep"])
    assert [problem.key for problem in loaded.problems] == ([] if name == "log.txt" else [str(run / name)])


@pytest.mark.parametrize("suffix", [".png", "_with_boxes.mp4"])
def test_exported_pipes_are_not_waited_for(tmp_path: Path, suffix: str) -> None:
    run = write(tmp_path / "sweep")
    (run / "saved_samples" / NAME).mkdir(parents=True)
    names = [f"video_{NAME}{suffix}"] if "mp4" in suffix else [f"{NAME}_frame_{number:04d}.png" for number in (0, 1)]
    for name in names:
        os.mkfifo(run / "saved_samples" / NAME / name)
    (problem,) = write_report([tmp_path / "sweep"], tmp_path / "out", videos=True).problems
    assert problem.key == str(run / "saved_samples" / NAME / names[-1])


def test_what_is_embedded_is_bounded(tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = write(tmp_path / "sweep")
    secret.rename(run / "saved_samples")
    monkeypatch.setattr(qualitative, "MAX_EMBEDDED", 10)
    (problem,) = write_report([tmp_path / "sweep"], tmp_path / "out", videos=True).problems
    assert "10 bytes" in problem.expected
    monkeypatch.undo()
    monkeypatch.setattr(filmstrips, "MAX_VIDEO", 10)
    monkeypatch.setattr(filmstrips, "MAX_SIDE", 63)
    problems = write_report([tmp_path / "sweep"], tmp_path / "out", videos=True).problems
    assert sorted(problem.expected for problem in problems) == [
        *["a picture of at most 63 pixels a side"] * 2,
        "at most 10 bytes",
    ]


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"x" * 100], ids=repr)
def test_a_frame_that_is_no_picture_is_named(tmp_path: Path, content: bytes) -> None:
    run = write(tmp_path / "sweep")
    (run / "saved_samples" / NAME).mkdir(parents=True)
    for number in range(2):
        (run / "saved_samples" / NAME / f"{NAME}_frame_{number:04d}.png").write_bytes(content)
    (problem,) = write_report([tmp_path / "sweep"], tmp_path / "out").problems
    assert problem.key == str(run / "saved_samples" / NAME / f"{NAME}_frame_0001.png")


def test_names_of_folders_may_be_any_bytes(tmp_path: Path) -> None:
    outputs = os.fsencode(tmp_path / "outputs") + b"/caf\xe9<script>\x1b[31m"
    os.makedirs(outputs)
    result = Path(os.fsdecode(outputs)) / "result.json"
    write_result(result, make_results((0.5,)), make_config())
    broken = Path(os.fsdecode(outputs + b"2")) / "result.json"
    broken.parent.mkdir()
    broken.write_text("{")
    written = write_report([tmp_path / "outputs"], tmp_path / "out")
    page = Page(written.page)
    assert "script" not in page.tags
    assert r"caf\xe9<script>\x1b[31m" in " ".join(page.words)
    assert len(written.problems) == 1
    assert [path.suffix for path in (tmp_path / "out" / "configs").iterdir()] == [".json"]


def test_a_long_log_is_read_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("armory_skelevision.results.load.MAX_LOG", 100)
    log = tmp_path / "log"
    log.write_text("2026-11-21 14:55:24 1s X\n" * 1000 + "2026-11-21 14:55:24 999999d999999d X\n")
    assert elapsed_seconds(log) == 2 * 999999 * 86400
    log.write_text(f"2026-11-21 14:55:24 {'9' * 50}d X\n")
    assert elapsed_seconds(log) is None


@pytest.mark.parametrize("name", ["index.html", "miou.csv", "runs.tex", "configs"])
def test_files_of_others_are_not_replaced(tmp_path: Path, name: str) -> None:
    result = write_result(tmp_path / "r.json", make_results((0.5,)), make_config())
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(InvalidValueError) as caught:
        write_report([result], out)
    assert caught.value.key == str(out / name)
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_text() == "mine"


def test_a_report_replaces_a_report_and_leaves_none_of_its_tables(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_report([write_result(tmp_path / "a.json", make_results((0.5,)), make_config())], out)
    (out / "notes.txt").write_text("mine")
    bare = write_result(tmp_path / "b.json", make_results((0.75,)))  # without a config there is but one table
    write_report([bare], out)
    assert {path.name for path in out.iterdir()} == {"configs", "index.html", "notes.txt", *RUNS}
    assert (out / "notes.txt").read_text() == "mine"


RUNS = {"runs.csv", "runs.md", "runs.tex"}


def test_a_link_of_the_output_is_not_followed(tmp_path: Path) -> None:
    result, out, mine = (
        write_result(tmp_path / "r.json", make_results((0.5,)), make_config()),
        tmp_path / "out",
        tmp_path,
    )
    write_report([result], out)
    (mine / "mine").mkdir()
    (out / "configs" / "r.json").unlink()
    (out / "configs").rmdir()
    (out / "configs").symlink_to(mine / "mine")
    with pytest.raises(InvalidValueError) as caught:
        write_report([result], out)
    assert caught.value.key == str(out / "configs")
    assert not list((mine / "mine").iterdir())
    (out / "configs").unlink()
    (mine / "page").write_text("mine")
    (out / "miou.csv").unlink()
    (out / "miou.csv").symlink_to(mine / "page")
    write_report([result], out)
    assert (mine / "page").read_text() == "mine"


def test_a_report_that_cannot_be_written_names_the_file_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = write_result(tmp_path / "r.json", make_results((0.5,)), make_config())
    replace = os.replace

    def no_room_for_the_page(source: Path, target: Path) -> None:
        if Path(target).name == "index.html":
            raise OSError(28, "No space left on device", str(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", no_room_for_the_page)
    with pytest.raises(OSError, match="No space left") as caught:
        write_report([result], tmp_path / "out")
    assert caught.value.filename == str(tmp_path / "out" / "index.html")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    with pytest.raises(InvalidValueError):
        write_report([result], result)
