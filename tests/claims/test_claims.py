"""The papers' claims: read strictly, with numbers that stand in the guides, and a page that is as the files are."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from armory_skelevision.claims.claim import PAPERS, Claim, hash_packaged, read_claims
from armory_skelevision.claims.page import MARK, list_commands, list_missing, render_page
from armory_skelevision.io.records import parse_record
from armory_skelevision.validation import InvalidValueError, MissingFileError

ROOT = Path(__file__).parent.parent.parent
CLAIMS = read_claims(ROOT / "claims")
PACKAGED = hash_packaged()
CURRENT = [name for name, claim in CLAIMS.items() if claim.effects is not None and not claim.find_changed(PACKAGED)]
Run = Callable[..., tuple[int, str, str]]

GOOD: dict[str, Any] = {
    "claim": "Patches work",
    "source": {"paper": "FSBA", "section": "4"},
    "experiment": ["make demo", "make again"],
    "effects": [{"what": "STL", "value": 0.25, "unit": "mean IoU", "interval": 0.125}],
    "measured_in": "docs/results.md#patch",
    "weights": {"a.safetensors": "0" * 64},
    "verdict": "holds",
    "scope": "three videos",
    "reason": "they do.",
}
UNMEASURED = {**GOOD, "effects": None, "measured_in": None, "weights": {}, "verdict": "cannot be told"}


def parse(**changes: Any) -> Claim:
    return parse_record(Claim, {**GOOD, **changes}, "claim.json")


def slug(heading: str) -> str:
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def find_section(place: str) -> str:
    """The text below a heading of a guide, up to the next one of its level or above."""
    page, _, anchor = place.partition("#")
    text = (ROOT / page).read_text(encoding="utf-8")
    heads = list(re.finditer(r"^(#+) (.+)$", text, re.MULTILINE))
    head = next(head for head in heads if slug(head[2]) == anchor)
    later = (each.start() for each in heads if each.start() > head.start() and len(each[1]) <= len(head[1]))
    return text[head.end() : next(later, len(text))]


def find_numbers(text: str) -> set[float]:
    return {float(number) for number in re.findall(r"-?\d*\.?\d+", text.replace("−", "-"))}


def test_the_page_is_as_the_claims_are() -> None:
    page = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
    assert page == render_page(CLAIMS, PACKAGED), "run: skelevision claims"


def test_every_paper_has_claims() -> None:
    assert list(dict.fromkeys(claim.source.paper for claim in CLAIMS.values())) == list(PAPERS)


@pytest.mark.parametrize("name", CURRENT)
def test_every_number_stands_in_the_section_that_the_claim_names(name: str) -> None:
    claim = CLAIMS[name]
    numbers = find_numbers(find_section(claim.measured_in or ""))
    wanted = {each for effect in claim.effects or () for each in (effect.value, effect.interval) if each is not None}
    assert wanted - numbers == set()


def test_what_is_missing() -> None:
    claims = {
        "told": parse(),
        "open": parse_record(Claim, UNMEASURED, "open.json"),
        "none": parse_record(Claim, {**UNMEASURED, "experiment": []}, "none.json"),
        "coarse": parse(verdict="cannot be told", experiment=["make again", "make more"]),
    }
    now = {"a.safetensors": "0" * 64}
    missing = list_missing(claims, now)
    assert list(missing) == ["open", "none", "coarse"]
    assert "no experiment" in missing["none"]
    assert list_commands(claims, now) == ["make demo", "make again", "make more"]
    assert "other weights" not in render_page(claims, now).partition("| claim |")[2]


def test_other_weights_are_marked_and_missing() -> None:
    claims = {"told": parse()}
    for now in ({"a.safetensors": "1" * 64}, {}):
        page = render_page(claims, now)
        assert "| holds; **other weights** |" in page
        assert "(**other weights**: a.safetensors)" in page
        assert "a.safetensors" in list_missing(claims, now)["told"]
        assert list_commands(claims, now) == ["make demo", "make again"]
    assert "| STL | .250 ± .125 mean IoU |" in page


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"verdict": "perhaps"}, "verdict"),
        ({"claim": " "}, "claim"),
        ({"effects": []}, "effects"),
        ({"effects": GOOD["effects"] * 2}, "effects"),
        ({"effects": [{**GOOD["effects"][0], "interval": -1}]}, "effects.0.interval"),
        ({"effects": [{**GOOD["effects"][0], "unitt": ""}]}, "effects.0.unitt"),
        ({"effects": None, "measured_in": None, "weights": {}}, "verdict"),
        ({"measured_in": None}, "measured_in"),
        ({"weights": {"a.safetensors": "0"}}, "weights.a.safetensors"),
        ({"source": {"paper": "Another", "section": "1"}}, "source.paper"),
        ({"source": {"paper": "FSBA"}}, "source.section"),
        ({"source": "FSBA"}, "source"),
        ({"experiment": "make demo"}, "experiment"),
        ({"wieghts": {}}, "wieghts"),
    ],
)
def test_what_is_no_claim_is_refused(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(InvalidValueError) as error:
        parse(**changes)
    assert error.value.key == f"claim.json.{key}"


def test_weights_without_a_measurement_are_refused() -> None:
    with pytest.raises(InvalidValueError) as error:
        parse_record(Claim, {**UNMEASURED, "weights": GOOD["weights"]}, "claim.json")
    assert error.value.key == "claim.json.weights"


def test_folders_without_claims_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError):
        read_claims(tmp_path)
    with pytest.raises(MissingFileError):
        read_claims(tmp_path / "none")


def test_the_command_writes_the_page_and_lists_what_is_missing(run: Run, tmp_path: Path) -> None:
    folder, out = tmp_path / "claims", tmp_path / "docs" / "page.md"
    folder.mkdir()
    (folder / "patch.json").write_text(json.dumps(GOOD))
    for _ in range(2):  # an earlier page is replaced
        code, printed, err = run("claims", "--folder", folder, "--out", out)
        assert (code, err) == (0, "")
        assert printed.startswith("patch: measured with other weights")
    assert MARK in out.read_text(encoding="utf-8")
    out.write_text("mine")
    code, _, err = run("claims", "--folder", folder, "--out", out)
    assert (code, out.read_text()) == (1, "mine")
    assert str(out) in err


def test_the_command_prints_what_is_to_be_run(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "claims"
    folder.mkdir()
    (folder / "open.json").write_text(json.dumps(UNMEASURED))
    (folder / "none.json").write_text(json.dumps({**UNMEASURED, "experiment": []}))
    monkeypatch.chdir(tmp_path)
    code, out, err = run("claims", "--missing")
    assert (code, out) == (0, "make demo\nmake again\n")
    assert err.startswith("note: none: ")
    assert [path.name for path in tmp_path.iterdir()] == ["claims"]
