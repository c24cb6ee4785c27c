from pathlib import Path

import pytest
from handmade_results import make_config, make_results, write_plan, write_result, write_run

from armory_skelevision.results.comparison import compare
from armory_skelevision.results.format_comparison import format_comparison
from armory_skelevision.validation import InvalidValueError


def write_pair(folder: Path) -> tuple[Path, Path]:
    stl = make_results((0.7, 0.8, 0.9), (0.1, 0.2, 0.6))
    mtl = make_results((0.7, 0.8, 0.9), (0.2, 0.4, 0.9))
    return write_result(folder / "a.json", stl, make_config("stl")), write_result(folder / "b.json", mtl, make_config())


def test_videos_are_paired(tmp_path: Path) -> None:
    found = compare(*write_pair(tmp_path), expected=["model"])
    (pair,) = found.pairs
    benign, attacked = pair.contrasts.itertuples()
    assert (benign.side, benign.change.mean, benign.change.half_width) == ("benign", 0, 0)
    # differences .1, .2, .3: mean .2, s = .1, t(0.975, 2) = 4.302653
    assert (attacked.first, attacked.second) == pytest.approx((0.3, 0.5))
    assert attacked.change.mean == pytest.approx(0.2)
    assert attacked.change.half_width == pytest.approx(0.2484138, abs=1e-6)
    assert attacked.change.n == 3
    assert found.is_fair
    assert found.overall.empty
    assert {difference.key for difference in found.differences} == {"model.name", "model.weights_file"}


def test_unexpected_differences_are_listed(tmp_path: Path) -> None:
    first, second = write_pair(tmp_path)
    write_result(
        second, make_results((0.5,) * 3), make_config(attack__kwargs__max_iter=11, attack__kwargs__verbose=False)
    )
    found = compare(first, second, expected=["model", "attack.kwargs.max"])  # no key of a config is called so
    assert not found.is_fair
    assert [difference for difference in found.differences if not difference.is_expected] == [
        ("attack.kwargs.max_iter", "10", "11", False)
    ]
    text = format_comparison(found)
    assert "expected to differ: model.name: siamrpn_stl → siamrpn_mtl" in text
    assert "differs as well: attack.kwargs.max_iter: 10 → 11" in text
    assert "verbose" not in text


def test_sweeps_are_paired_run_by_run(tmp_path: Path) -> None:
    for name, shift in (("a", 0.0), ("b", 0.1)):
        write_plan(tmp_path / name)
        for steps, worse in ((10, 0.0), (20, 0.2)):
            config = make_config(attack__kwargs__max_iter=steps, attack__kwargs__adaptive=name == "a")
            ious = (0.3 - worse + shift, 0.6 - worse + shift + steps / 100)
            record = {"versions": {"torch": "2.13.0" if name == "a" else "2.14.0"}}
            write_run(tmp_path / name / str(steps), config, make_results((0.8, 0.9), ious), **record)
    found = compare(tmp_path / "a", tmp_path / "b", ["attack.kwargs.adaptive"])
    assert [pair.name for pair in found.pairs] == ["max_iter 10", "max_iter 20"]
    assert [round(pair.contrasts["first"][1], 3) for pair in found.pairs] == [0.5, 0.35]
    benign, attacked = found.overall.itertuples()
    assert benign.change.mean == 0
    assert (attacked.first, attacked.second) == pytest.approx((0.425, 0.525))
    assert attacked.change.mean == pytest.approx(0.1)
    assert [difference[:3] for difference in found.differences if not difference.is_expected] == [
        ("versions.torch", "2.13.0", "2.14.0")
    ]
    (tmp_path / "b" / "20" / "result.json").unlink()
    found = compare(tmp_path / "a", tmp_path / "b")
    assert [pair.name for pair in found.pairs] == ["max_iter 10"]
    assert [(problem.key, problem.got) for problem in found.problems] == [
        (f"{tmp_path / 'b'}: 20", "missing"),
        (f"{tmp_path / 'a'}: 20", "none"),
    ]


def test_other_numbers_of_videos_are_not_paired(tmp_path: Path) -> None:
    first, second = write_pair(tmp_path)
    write_result(second, make_results((0.7, 0.8), (0.2, 0.4)), make_config())
    found = compare(first, second, ["model"])
    assert found.pairs[0].contrasts.empty
    assert not found.is_fair
    assert "3 in A and 2 in B" in {problem.got for problem in found.problems}


def test_nothing_to_compare(tmp_path: Path) -> None:
    first, second = write_pair(tmp_path)
    second.write_text("{")
    with pytest.raises(InvalidValueError) as caught:
        compare(first, second)
    assert (caught.value.key, caught.value.expected) == (str(second), "at least one finished run")
    assert str(second) in caught.value.fix
    write_plan(tmp_path / "one")
    write_plan(tmp_path / "two")
    for folder, steps in (("one", (1, 2)), ("two", (3, 4))):
        for number in steps:
            config = make_config(attack__kwargs__max_iter=number)
            write_run(tmp_path / folder / str(number), config, make_results((0.5,), (0.5,)))
    with pytest.raises(InvalidValueError) as caught:
        compare(tmp_path / "one", tmp_path / "two")
    assert caught.value.fix == "attack.kwargs.max_iter"


def test_the_newest_of_the_same_config_counts(tmp_path: Path) -> None:
    first, second = write_pair(tmp_path)
    folder = tmp_path / "runs"
    write_result(folder / "b_1795270700.json", make_results((0.5,) * 3, (0.5,) * 3), make_config(), 1795270700)
    second.rename(folder / "b_1795270699.json")
    (pair,) = compare(first, folder, ["model"]).pairs
    assert pair.second.timestamp == 1795270700


def test_videos_are_paired_by_name(tmp_path: Path) -> None:
    first = make_results((0.2, 0.8, 0.5), (0.1, 0.5, 0.3), video_names=["x", "y", "z"])
    second = make_results((0.8, 0.3, 0.5), (0.5, 0.2, 0.3), video_names=["y", "x", "z"])
    paths = write_result(tmp_path / "a.json", first), write_result(tmp_path / "b.json", second)
    benign, attacked = compare(*paths).pairs[0].contrasts.itertuples()
    # differences .1, 0, 0: s = .057735, t(0.975, 2) = 4.302653
    assert benign.change.half_width == pytest.approx(4.302653 * 0.057735 / 3**0.5, abs=1e-5)
    assert attacked.change.mean == pytest.approx(0.1 / 3)


@pytest.mark.parametrize("names", [["x", "z"], ["y", "y"]])
def test_other_videos_are_not_paired(tmp_path: Path, names: list[str]) -> None:
    first = write_result(tmp_path / "a.json", make_results((0.2, 0.8), video_names=["x", "y"]))
    second = write_result(tmp_path / "b.json", make_results((0.2, 0.8), video_names=names))
    found = compare(first, second)
    assert not found.is_fair
    assert found.pairs[0].contrasts.empty
    assert "video_names" in found.problems[0].key


def test_texts_of_a_result_cannot_steer_a_terminal(tmp_path: Path) -> None:
    first, second = write_pair(tmp_path)
    hostile = {**make_config(), "dataset": {"name": "\x1b]0;title\x07\nfair: yes"}}
    write_result(second, make_results((0.5,) * 3, **{"benign_\x1b[31mfoo": [1, 2, 3]}), hostile)
    text = format_comparison(compare(first, second))
    assert "\x1b" not in text
    assert "\nfair" not in text
