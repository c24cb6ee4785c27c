#!/usr/bin/env bash
# Install the wheel in dist/ into an empty environment outside of the repository, and evaluate from an empty folder.
#
#   scripts/try_wheel.sh [CONFIG] [OPTION OF `armory run`…]     CONFIG is a name from scenario_configs/
#
# Environment: PYTHON, an interpreter of 3.11 or newer; CONSTRAINTS, default constraints.txt, empty for none.
# All of it happens in a temporary folder that is removed at the end; SCRATCH names another one, which stays.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
constraints=${CONSTRAINTS-constraints.txt}

stop() {
    echo "error: $*" >&2
    exit 1
}

shopt -s nullglob
wheels=(dist/*.whl)
[ ${#wheels[@]} = 1 ] || stop "there are ${#wheels[@]} wheels in dist, and this takes one: make wheel"
wheel=$repository/${wheels[0]}
config=${1:-walkers_mtl_patch.json}
shift || true
if [ -n "${SCRATCH:-}" ]; then
    mkdir -p "$SCRATCH"
    scratch=$(realpath "$SCRATCH")
else
    scratch=$(mktemp --directory)
    trap 'rm -rf --one-file-system "$scratch"' EXIT
fi
case $scratch/ in "$repository"/*) stop "$scratch is inside of the repository" ;; esac

echo "== $(basename "$wheel") into an empty environment"
"${PYTHON:-python3}" -m venv --clear "$scratch/venv"
pip=("$scratch/venv/bin/python" -m pip --disable-pip-version-check)
"${pip[@]}" install --quiet ${constraints:+-c "$constraints"} "$wheel"
"${pip[@]}" check

# From here on nothing of the repository is in reach: neither by the working directory, nor by Python's path.
unset PYTHONPATH
export HOME=$scratch/home PATH=$scratch/venv/bin:$PATH
rm -rf --one-file-system "$HOME" "$scratch/empty"
mkdir -p "$HOME" "$scratch/empty"
cd "$scratch/empty"

echo "== what came with it"
python - <<'END'
import sys
from pathlib import Path
import armory_skelevision
package = Path(armory_skelevision.__file__).parent
if not package.is_relative_to(sys.prefix):
    sys.exit(f"error: the package was found at {package}, not in the environment")
for kind, pattern in {"weights": "weights/pretrained/*.safetensors", "videos": "datasets/walker_splits/*/*.mp4"}.items():
    files = list(package.glob(pattern))
    print(f"{len(files)} {kind}, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB")
    if not files:
        sys.exit(f"error: no {kind} came with the wheel")
END

echo "== configs, a check and an evaluation from an empty folder"
skelevision configs >/dev/null
skelevision check "scenario_configs/$config"
armory run "scenario_configs/$config" --no-docker "$@" >"$scratch/log" 2>&1 || {
    tail -n 20 "$scratch/log" >&2
    stop "that run failed${SCRATCH:+; all it said is in $scratch/log}"
}
grep -o "command exited cleanly" "$scratch/log" || stop "ARMORY did not say that all went well"
skelevision summary "$(find "$HOME/.armory/outputs" -name '*.json' -print -quit)"
