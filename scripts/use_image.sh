#!/bin/sh
# Use an image that `make image` has built, where there is Docker.
#
#   scripts/use_image.sh run gpu|cpu               let ARMORY evaluate an embedded video in it
#   scripts/use_image.sh push gpu|cpu REGISTRY     push it, with the version as its tag
set -eu
task=$1
kind=$2
bin=.venv/bin

image=$("$bin/python" -c "import sys; from armory_skelevision.evaluation.configs import IMAGES; print(IMAGES[sys.argv[1]])" "$kind")
case $task in
    run)
        # ARMORY mounts the folder that it is called from, and a checkout's package would hide the image's
        armory=$(pwd)/$bin/armory
        folder=$(mktemp --directory)
        trap 'rm -rf "$folder"' EXIT
        sed "s/\"docker_image\": \".*\"/\"docker_image\": \"$image\"/" scenario_configs/walkers_mtl_patch.json \
            >"$folder/config.json"
        cd "$folder"
        [ -e ~/.armory/config.json ] || "$armory" configure --use-defaults
        "$armory" run config.json --num-eval-batches 1
        ;;
    push)
        docker tag "$image" "$3:${image##*:}"
        docker push "$3:${image##*:}"
        ;;
    *)
        echo "error: the first argument is run or push, not $task" >&2
        exit 1
        ;;
esac
