"""Results kept in files come back equal, and are not measured again."""

from pathlib import Path


def test_what_is_kept_is_not_done_again(tmp_path: Path) -> None:
    from experiments.keeping import kept

    done = []

    def work() -> list[list[float]]:
        done.append(1)
        return [[0.5, 0.25], [1.0]]

    path = tmp_path / "keep" / "cell.json"
    for found in (kept(path, work), kept(path, work)):
        assert found == [[0.5, 0.25], [1.0]]
    assert done == [1]
    kept(None, work)
    assert done == [1, 1]


def test_places_tell_apart_what_differs(tmp_path: Path) -> None:
    from experiments.keeping import place

    assert place(tmp_path, "a", 0.1) == place(tmp_path, "a", 0.1)
    cells = [("a", 0.1), ("a", 1), ("a0.1",), ("a", None), ("a", "", 0.1)]
    assert len({place(tmp_path, *cell) for cell in cells}) == len(cells)
    assert place(None, "a") is None
