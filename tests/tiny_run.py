"""Settings of a training run of four steps on people drawn by hand."""

from handmade_store import make_store


def tiny_run(kind, root, **changes):
    """Settings of a ``kind`` of training, in a folder of its own, with some of them changed."""
    usual = {
        "store": str(make_store(root / "train")),
        "validation_store": str(make_store(root / "val", seed=1)),
        "folder": str(root / "run"),
        "steps": 4,
        "batch_size": 2,
        "search_side": 191,
        "warmup_steps": 1,
        "workers": 0,
        "validation_pairs": 2,
        "validation_steps": 2,
        "checkpoint_minutes": 0,
        "seed": 3,
    }
    return kind(**usual | changes)
