"""What is left of an attack that somebody ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from signals import hear_ctrl_c

# Three small videos whose patches are exported; says when it starts.
SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from doubles import screen_scene, tiny_estimator
from armory_skelevision.attacks import PatchAttack
attack = PatchAttack(tiny_estimator(), max_iter=40, export=sys.argv[2], verbose=False)
print("go", flush=True)
while True:
    for seed in range(3):
        x, y, metadata = screen_scene(frames=3, seed=seed)
        attack.generate(x=x, y=y, y_patch_metadata=metadata)
"""


def start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent.parent), str(folder)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "go\n"
    return process


@pytest.mark.parametrize("delay", [1.5, 2.7, 4.1])
def test_a_killed_attack_leaves_whole_patches_only(tmp_path: Path, delay: float) -> None:
    process = start(tmp_path)
    deadline = time.monotonic() + 60
    while not any(tmp_path.glob("*.npy")) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay - 1.5)
    process.kill()
    process.communicate()
    patches = sorted(tmp_path.glob("[!.]*.npy"))
    assert patches
    for path in patches:
        assert np.load(path, allow_pickle=False).shape[-1] == 3
        assert path.with_suffix(".png").is_file() and path.with_suffix(".json").is_file()


def test_ctrl_c_ends_an_attack_that_would_go_on_for_ever(tmp_path: Path) -> None:
    process = start(tmp_path)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=20)  # a second or two, and more on a busy machine
    finally:
        process.kill()
    assert "KeyboardInterrupt" in errors
