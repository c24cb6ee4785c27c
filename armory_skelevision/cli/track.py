"""`skelevision track`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from armory_skelevision.io import printable, read_object
from armory_skelevision.validation import InvalidValueError, check_known

if TYPE_CHECKING:
    from armory_skelevision.evaluation.measuring import TrackedBoxes


def track(
    video: Annotated[Path, typer.Argument(help="A video file, a folder of pictures, or a benchmark's sequence.")],
    out: Annotated[Path, typer.Option(help="Folder of the results, new or empty.")],
    box: Annotated[
        str | None, typer.Option(help="The target in the first frame: X,Y,W,H in pixels. Without it, a window opens.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="The tracker: a model of configs, a weights file, or your own as module:name.")
    ] = "siamrpn_mtl",
    weights: Annotated[Path | None, typer.Option(help="A weights file for that model.")] = None,
    attack: Annotated[
        str | None,
        typer.Option(help="An attack by its name, such as PGD, or the attack section of a config as .json."),
    ] = None,
    defense: Annotated[
        str | None, typer.Option(help="A defense by its name, or the defense section of a config as .json.")
    ] = None,
    screen: Annotated[
        str | None, typer.Option(help="Where a patch is shown: X1,Y1,…,X4,Y4 in the first frame, from top left.")
    ] = None,
    track_screen: Annotated[
        bool, typer.Option("--track-screen", help="The screen stays on its wall while the camera moves.")
    ] = False,
    layout: Annotated[
        Literal["otb", "got10k", "lasot", "uav123", "trackingnet", "vot", "davis"] | None,
        typer.Option(help="Benchmark of a sequence, where it has to be said."),
    ] = None,
    frames: Annotated[int | None, typer.Option(min=2, help="How many frames, from the first; by default all.")] = None,
    device: Annotated[Literal["auto", "cpu", "gpu"], typer.Option(help="Where the network is computed.")] = "auto",
) -> None:
    """Track one target through a video, and through the same video under an attack.

    Writes boxes.txt (left, top, width, height), scores.txt, video.mp4 and result.json; with an attack also the attacked
    frames, and what the tracker finds in them. An attack needs memory for all frames: --frames shortens the video.
    """
    from armory_skelevision.evaluation.own_video import attack_video, open_video
    from armory_skelevision.evaluation.streaming import track_file
    from armory_skelevision.models import load_tracker

    if attack is None and (screen is not None or track_screen):
        raise InvalidValueError("--screen", "an attack that shows a patch on it", "none", "give --attack AutoPatch")
    opened = open_video(video, None if box is None else _parse_numbers("--box", box, 4), layout)
    tracker = load_tracker(model, weights, device=device)
    defended = None if defense is None else _make("defense", defense)
    if attack is None:
        if defended is not None:
            tracker.set_params(preprocessing_defences=[defended])
        found = track_file(tracker, opened.source, opened.box_xywh, out, frames, opened.truth_xyxy)
        print(f"{len(found.boxes_xywh)} frames at {found.fps:.1f} per second, perhaps lost in {len(found.lost)}")
        _print_fit("", found.measured, "true boxes")
    else:
        corners = None if screen is None else _parse_numbers("--screen", screen, 8)
        made = _make("attack", attack, tracker)
        result = attack_video(tracker, opened, made, out, defended, corners, track_screen, frames)
        reference = "the benign run" if result.truth_by_tracker else "true boxes"
        _print_fit("benign: ", None if result.truth_by_tracker else result.benign, reference)
        _print_fit("attacked: ", result.adversarial, reference)
    print(printable(out))


def _print_fit(side: str, tracked: TrackedBoxes | None, reference: str) -> None:
    if tracked is not None:
        print(f"{side}mean IoU with {reference} {tracked.average_overlap:.3f}")


def _parse_numbers(option: str, text: str, count: int) -> list[float]:
    """Numbers separated by commas."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        raise InvalidValueError(option, f"{count} numbers, separated by commas", printable(text))
    return numbers


def _make(kind: str, given: str, *arguments: Any) -> Any:
    """An attack or a defense of this package by its name, or any by the section of a config that a file holds."""
    from armory_skelevision.evaluation.check.findings import describe
    from armory_skelevision.evaluation.check.names import find_object

    kwargs: dict[str, Any] = {}
    module, name = f"armory_skelevision.{kind}s", given
    if given.endswith(".json"):
        section = read_object(Path(given))
        check_known(kind, section, ["module", "name", "kwargs", "type", "knowledge", "use_label", "targeted"])
        module, name, kwargs = section.get("module", module), section.get("name", ""), section.get("kwargs") or {}
    made, findings = find_object(f"--{kind}", module, name, kwargs, len(arguments))
    if findings:
        raise ValueError(describe(findings[0]))
    return made(*arguments, **kwargs)
