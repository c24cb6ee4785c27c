#!/bin/sh
# Set up an environment for this repository, or complete one that is there.
#
#   scripts/set_up.sh FOLDER main [PYTHON]   everything but the renderer: evaluation, training, tests
#   scripts/set_up.sh FOLDER town [PYTHON]   the renderer of the town, with Blender
#
# Run from the repository's root. PYTHON is an interpreter; without it the first that fits is taken.
set -eu
folder=$1
kind=$2
python=${3:-}

stop() {
    echo "error: $*" >&2
    exit 1
}

case $kind in
    main)
        condition='sys.version_info >= (3, 11)'
        need='Python 3.11 or newer'
        names='python3 python3.13 python3.12 python3.11'
        size='a good gigabyte'
        ;;
    town) # Blender's module wants Python 3.11 and NumPy 1, all else runs on NumPy 2
        condition='sys.version_info[:2] == (3, 11)'
        need='Python 3.11 (Blender has a module for no other)'
        names='python3.11 python3'
        size='half a gigabyte'
        ;;
    *) stop "the second argument is main or town, not $kind" ;;
esac

fits() {
    "$1" -c "import sys; raise SystemExit(not ($condition))" 2>/dev/null
}

if ! fits "$folder/bin/python"; then
    if [ -z "$python" ]; then
        for name in $names; do
            if fits "$name"; then python=$name; break; fi
        done
        [ -n "$python" ] || stop "this needs $need, and none of $names is that; say which one to take with PYTHON=…"
    fi
    fits "$python" || stop "this needs $need, and $python is not that"
    "$python" -m venv --clear "$folder" ||
        stop "$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"
fi

# Progress where somebody is looking, silence where not.
quiet=-qq
[ -t 1 ] && quiet=
# pip compiles modules on one core, which takes as long as all else; they are compiled on all cores afterwards.
install() {
    "$folder/bin/python" -m pip --disable-pip-version-check install --no-compile $quiet "$@"
}

echo "setting up $folder with $("$folder/bin/python" --version), once; this downloads $size"
if [ "$kind" = main ]; then
    install -c constraints.txt -e ".[train,cluster,mlflow,docs,dev]"
else
    install -r town/constraints.txt
    # without dependencies: those of the package run on NumPy 2, and rendering needs none of them
    install --no-deps -e . -e town
fi

# Some packages have files of Python 2 among their tests, which do not compile and are never imported.
"$folder/bin/python" -m compileall -qq -j 0 "$folder/lib" || true

message=$("$folder/bin/python" -c "import cv2" 2>&1) || {
    echo "$message" | tail -n 1 >&2
    stop "OpenCV lacks libraries of the system; on Debian and Ubuntu: apt-get install libgl1 libglib2.0-0 libxcb1"
}
