"""`armory run CONFIG --no-docker --output-dir NAME`: notes that it ran, and does as the config's attack says."""

import json
import subprocess
import sys
import time
from pathlib import Path

from armory.paths import HostPaths

config = json.loads(Path(sys.argv[2]).read_text())
name = sys.argv[sys.argv.index("--output-dir") + 1]
run = Path(sys.argv[2]).parent.name
kwargs = config["attack"]["kwargs"]
paths = HostPaths()


def note(event):
    with (Path(paths.output_dir).parent / "events").open("a") as file:
        file.write(f"{event} {run} {time.time()}\n")


note("start")
output = Path(paths.output_dir) / f"{name}_2026"
(output / "saved_samples").mkdir(parents=True)
(Path(paths.tmp_dir) / f"{name}_2026").mkdir(parents=True)
(output / "saved_samples" / "video.mp4").write_bytes(b"video")
print("working on", run, "with", *sys.argv[5:], flush=True)
# ARMORY, too, does its work in a process below its own.
waiting = subprocess.run([sys.executable, "-c", f"import time; time.sleep({kwargs.get('eps_step', 0)})"])
if kwargs["max_iter"] == 13:
    print("Traceback\n  somewhere\n\x1b[31m\x1b[1mValueError\x1b[0m: 13 is no number of steps\nrun did not finish")
    sys.exit(1)
result = {"config": config, "results": {"benign_mean_x": [0.5], "adversarial_mean_x": [kwargs["max_iter"] / 100]}}
(output / "CarlaVideoTracking_1.json").write_text(json.dumps(result))
note("end")
