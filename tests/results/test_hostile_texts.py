"""Texts from result files in tables and on the page: never a formula, a tag, a hidden sign or a broken chart."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from handmade_results import make_config, make_frames, make_results, write_plan, write_result, write_run
from html_page import Page

from armory_skelevision.results.intervals import Estimate
from armory_skelevision.results.load import load_runs
from armory_skelevision.results.report.exports import to_csv, to_latex, to_markdown
from armory_skelevision.results.report.overview import miou_table
from armory_skelevision.results.report.tables import Table, TableCell
from armory_skelevision.results.report.text import csv_cell, one_line
from armory_skelevision.results.report.writing import write_report
from armory_skelevision.results.summary import summarize

FORMULAS = [
    '=HYPERLINK("http://evil")',
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "＝1+1",
    "--1",
    "+cmd",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_a_csv_file_is_a_formula(text: str) -> None:
    table = Table("t", "T", [{text: text, "b": TableCell(text)}])
    for row in csv.reader(io.StringIO(to_csv(table))):
        assert row[0].startswith("'")
        assert row[0] == f"'{text.strip()}"


@pytest.mark.parametrize("text", ["-0.5", "+3", "-1e-05", "12", "0.25", "−1.5", "–", "a=b", "PGD 8/255", "", "1-2"])
def test_numbers_and_plain_texts_stay_as_they_are(text: str) -> None:
    assert csv_cell(text) == text


def test_no_formula_begins_after_a_semicolon() -> None:
    assert csv_cell("a;=1+1;b; @x") == "a;'=1+1;b; '@x"


def test_negative_numbers_stay_numbers() -> None:
    table = Table("t", "T", [{"a": TableCell(value=Estimate(-0.25, None, 1), digits=3)}], numeric=["a"])
    assert to_csv(table).splitlines() == ["a,a n", "-0.25,1"]


HIDDEN = "a\u202eb\u2066c\u200bd\x00e\x1bf\x7fg\u2028h\ufeffi"


@pytest.mark.parametrize("write", [to_csv, to_markdown, to_latex])
def test_signs_that_are_not_seen_are_shown_as_escapes(write: Any) -> None:
    written = write(Table("t", HIDDEN, [{HIDDEN: HIDDEN}], caption=HIDDEN))
    assert all(sign.isprintable() or sign == "\n" for sign in written)
    assert "202e" in written


def test_plain_text_keeps_what_it_is_told_to() -> None:
    assert one_line(" a\n b\tc\x85d ") == "a b c d"


def test_markdown_shows_signs_as_they_are() -> None:
    text = r"a|b `c` *d* _e_ [f](g) <h> & #i ~j~ $k$ \ "
    (row,) = to_markdown(Table("t", "T", [{"a": text}])).splitlines()[4:]
    assert row == r"| a\|b \`c\` \*d\* \_e\_ \[f\](g) &lt;h&gt; &amp; \#i \~j\~ \$k\$ \\ |"
    caption = to_markdown(Table("t", "T", [{"a": "b"}], caption="- not a list")).splitlines()[2]
    assert caption == r"\- not a list"


def test_latex_shows_signs_as_they_are() -> None:
    (row,) = [
        line for line in to_latex(Table("t", "T", [{"a": r"\input{x} %&$#_{}~^<>|[]"}])).splitlines() if "input" in line
    ]
    assert row == (
        r"\textbackslash{}input\{x\} \%\&\$\#\_\{\}\textasciitilde{}\textasciicircum{}"
        r"\textless{}\textgreater{}\textbar{}{[}{]} \\"
    )


NAMES = [
    "$x^{$",
    "_hidden",
    "模型",
    HIDDEN,
    "a" * 5000,
    "steps",
    "data set",
    "δ",
    "video",
    "{{7*7}}",
    "&lt;",
    *FORMULAS[:2],
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: f"{name[:20]!a}")
def test_any_name_of_a_model_can_be_reported(tmp_path: Path, name: str) -> None:
    write_plan(tmp_path / "sweep")
    for number, (model, iou) in enumerate(((name, 0.25), ("other", 0.5))):
        frames = [make_frames((1.0, value), side=side) for side, value in (("benign", 0.9), ("adversarial", iou))]
        results = make_results((0.9,), (iou,), **frames[0], **frames[1])
        config = make_config()
        write_run(tmp_path / "sweep" / str(number), config, results, labels={"model": model}, command=name, hash=name)
    page = Page(write_report([tmp_path / "sweep"], tmp_path / "out").page)
    assert all(sign.isprintable() or sign in "\n\t" for sign in page.source)
    rows = [row for row in csv.reader((tmp_path / "out" / "miou.csv").open(encoding="utf-8")) if row]
    assert len(rows) == 3
    assert len(rows[0]) == len(set(rows[0]))
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@")]
    assert {"25", "50"} <= {cell for row in rows for cell in row}
    assert page.source.count("attacked [") == 4  # two models in two plots: no legend hides one


@pytest.mark.parametrize("name", ["steps", "δ", "data set", "attack"])
def test_a_model_is_never_taken_for_a_setting(tmp_path: Path, name: str) -> None:
    write_plan(tmp_path)
    for number, model in enumerate((name, "other")):
        config = make_config(attack__kwargs__max_iter=5 + number, attack__kwargs__step_size=0.5 + number)
        config["dataset"]["eval_split"] = f"split{number}"
        config["attack"]["name"] = f"Attack{number}"
        write_run(tmp_path / str(number), config, make_results((0.5,), (0.25,)), labels={"model": model})
    table = miou_table(summarize(load_runs([tmp_path]).runs))
    assert sorted(table.columns) == sorted(["data set", "attack", "δ", "steps", f"model {name}", "other"])


def test_two_settings_never_share_a_column(tmp_path: Path) -> None:
    for number, value in enumerate(("a", "b")):
        config = make_config(attack__kwargs__model=value, attack__kwargs__defense=value)
        config["dataset"]["data set"] = value
        write_result(tmp_path / f"{number}.json", make_results((0.8,), (0.25 * (number + 1),)), config)
    write_report([tmp_path / "0.json", tmp_path / "1.json"], tmp_path / "out")
    head, *rows = list(csv.reader((tmp_path / "out" / "metrics.csv").open(encoding="utf-8")))
    assert head[:3] == ["attack.defense", "attack.model", "dataset.data set"]
    assert [row[:2] for row in rows] == [["a", "a"], ["b", "b"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"attack__kwargs__max_iter": "²"},
        {"attack__kwargs__max_iter": "9" * 400},
        {"attack__kwargs__max_iter": 2**62},
        {"attack__kwargs__eps": 1e308},
        {"attack__kwargs__eps": -1},
        {"attack__kwargs__step_size": {"a": [1]}},
        {"attack__kwargs__checkpoints": [True, "5", None, 2**70]},
        {"attack__kwargs": []},
        {"attack": 5},
        {"model__name": None},
        {"dataset": "x"},
        {"dataset__names": [1, None]},
        {"metric": []},
        {"sysconfig": 7},
    ],
    ids=str,
)
def test_any_config_can_be_reported_or_is_refused_by_name(tmp_path: Path, changes: dict[str, Any]) -> None:
    paths = []
    for number in range(2):
        config = {**make_config(**changes), "_description": number}
        results = make_results((0.5, 0.5), (0.25, 0.25), relative_pck=[50])
        paths.append(write_result(tmp_path / f"{number}.json", results, config))
    written = write_report(paths, tmp_path / "out")
    assert {problem.key.partition(": ")[0] for problem in written.problems} <= set(map(str, paths))
    assert written.page.is_file()
