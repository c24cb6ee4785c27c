#!/usr/bin/env bash
# Build images with buildah, from a base image made here, and evaluate in them as ARMORY does. No Docker is needed.
#
#   docker/test_image.sh [gpu] [cpu]     default: both; to be run as root, on Debian or a child of it
#
# Environment, all of it optional:
#   IMAGE_STORE       folder for the base image, the images and what the runs leave, kept for the next time;
#                     default: a temporary one, removed at the end. The GPU image takes some 30 GB of it
#   BUILD_MOUNTS      files and folders of this machine that a build sees and the image does not keep, as PATH or
#                     PATH:PATH_INSIDE, with blanks between: pip's settings as SETTINGS:/etc/pip.conf, and what they name
#   TORCH_INDEX       another index of PyTorch's builds than the Dockerfile's
#   DEBIAN_MIRROR     where the base image's packages come from; default: debootstrap's
#   CONFIG            what is evaluated; default: scenario_configs/walkers_mtl_patch.json
#   ARMORY_OPTIONS    further options of `armory run`, such as "--num-eval-batches 1"
#   PYTHON            an interpreter with this package, for the run outside; default: .venv/bin/python
#   KEEP_IMAGES       if not empty, built images stay in IMAGE_STORE, and those that are there are not built again
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD

stop() {
    echo "error: $*" >&2
    exit 1
}

# ---- what this needs
[ "$(id -u)" = 0 ] || stop "buildah's chroot isolation needs root here"
for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || stop "$tool is missing; on Debian and Ubuntu: apt-get install $tool"
done
python=$(realpath --no-symlinks "${PYTHON:-.venv/bin/python}")
"$python" -c 'import armory, armory_skelevision' 2>/dev/null ||
    stop "$python has not both ARMORY and this package; run make venv, or name another as PYTHON"
for mount in ${BUILD_MOUNTS:-}; do
    [ -e "${mount%%:*}" ] || stop "BUILD_MOUNTS names ${mount%%:*}, which is not there"
done
config=$(realpath "${CONFIG:-scenario_configs/walkers_mtl_patch.json}")
kinds=("$@")
[ $# -gt 0 ] || kinds=(cpu gpu)

# ---- a store of its own
if [ -n "${IMAGE_STORE:-}" ]; then
    mkdir -p "$IMAGE_STORE"
    store=$(realpath "$IMAGE_STORE")
else
    store=$(mktemp --directory)
fi
container= # the one that is looked into, if any
tidy() {
    [ -z "$container" ] || buildah rm "$container" >/dev/null || true
    [ -n "${IMAGE_STORE:-}" ] || rm -rf --one-file-system "$store"
}
mkdir -p "$store/tmp"
cat >"$store/storage.conf" <<END
[storage]
driver = "vfs"
graphroot = "$store/storage"
runroot = "$store/run"
END
export CONTAINERS_STORAGE_CONF=$store/storage.conf BUILDAH_ISOLATION=chroot TMPDIR=$store/tmp
trap tidy EXIT

there() {
    buildah inspect --type image "$1" >/dev/null 2>&1
}

# ---- a base image: Debian with its Python
base=localhost/debian-python:bookworm
make_base() {
    [ -f "$store/base.tar" ] || {
        rm -rf --one-file-system "$store/base"
        debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv bookworm "$store/base" \
            ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
        rm -rf "$store"/base/var/cache/apt/archives/*.deb "$store"/base/var/lib/apt/lists/*
        tar -C "$store/base" --numeric-owner -cf "$store/base.tar.part" .
        mv "$store/base.tar.part" "$store/base.tar"
        rm -rf --one-file-system "$store/base"
    }
    container=$(buildah from scratch)
    buildah add --quiet "$container" "$store/base.tar" / >/dev/null
    buildah config --cmd '["bash"]' "$container"
    buildah commit --quiet --rm "$container" "$base" >/dev/null
    container=
}

# ---- the image, by the same command as anybody's
build() {
    local kind=$1 mount further=(--build-arg "BASE_IMAGE=$base" --volume /etc/ssl/certs:/etc/ssl/certs:ro)
    [ -z "${TORCH_INDEX:-}" ] || further+=(--build-arg "TORCH_INDEX=$TORCH_INDEX")
    for mount in ${BUILD_MOUNTS:-}; do
        further+=(--volume "${mount%%:*}:${mount#*:}:ro")
    done
    "$python" docker/build.py "$kind" --engine buildah -- "${further[@]}" >"$store/build_$kind.log" 2>&1 || {
        tail -n 20 "$store/build_$kind.log" >&2
        stop "the build failed; all it said is in $store/build_$kind.log"
    }
}

# ---- what is in it
inspect() {
    local image=$1 root found settings
    settings=$(buildah inspect --type image --format \
        '{{with .OCIv1.Config}}{{.Entrypoint}} {{.User}} {{.WorkingDir}} {{index .Labels "org.opencontainers.image.version"}}{{end}}' \
        "$image")
    [ "$settings" = "[] 1000:1000 /workspace $version" ] ||
        stop "$image has entry point, user, folder and version: $settings"
    container=$(buildah from --pull-never "$image")
    root=$(buildah mount "$container")
    found=$(find "$root/opt" "$root/armory" "$root/workspace" ! -type l ! -perm -o=r -print -quit)
    [ -z "$found" ] || stop "not everybody may read ${found#"$root"} in $image"
    for tool in cc gcc git make; do
        [ ! -e "$root/usr/bin/$tool" ] || stop "$tool was left in $image"
    done
    # of this machine nothing: neither pip's settings, nor certificates, nor what the build had in its caches
    found=$(find "$root/etc/pip.conf" "$root/root" "$root/tmp" "$root/var/lib/apt/lists" "$root/src" "$root/wheels" \
        -type f -size +0 ! -name '.bashrc' ! -name '.profile' -print -quit 2>/dev/null || true)
    [ -z "$found" ] || stop "${found#"$root"} was left in $image"
    tar -xOf "$store/base.tar" ./etc/ssl/certs/ca-certificates.crt |
        cmp -s - "$root/etc/ssl/certs/ca-certificates.crt" || stop "the certificates in $image are not its base's"
    echo "$image: $(du -sm "$root" | cut -f 1) MB; base $(($(stat -c %s "$store/base.tar") >> 20)) MB," \
        "Python's packages $(du -sm "$root/opt/venv" | cut -f 1) MB"
    buildah rm "$container" >/dev/null
    container=
}

# ---- the evaluation, each time in a folder and a home of its own
# evaluate NAME COMMAND… runs the command there, with what ARMORY says in a log
evaluate() {
    local work=$store/runs/$1 began=$SECONDS
    shift
    rm -rf --one-file-system "$work"
    mkdir -p "$work/empty" "$work/home"
    # shellcheck disable=SC2086  # options, with blanks between
    (cd "$work/empty" && HOME=$work/home PYTHONPATH=$repository "$python" "$@" ${ARMORY_OPTIONS:-}) \
        >"$work/log" 2>&1 || {
        tail -n 20 "$work/log" >&2
        stop "the run failed; all it said is in $work/log"
    }
    grep -q "command exited cleanly" "$work/log" || stop "ARMORY did not say that all went well; see $work/log"
    echo "$(basename "$work"): \"command exited cleanly\" after $((SECONDS - began)) s"
}

result_of() {
    find "$store/runs/$1/home/.armory/outputs" -name '*.json' -print -quit
}

try() {
    local kind=$1 image
    image=$("$python" -c "from armory_skelevision.evaluation.configs import IMAGES; print(IMAGES['$kind'])")
    echo "== $kind"
    if [ -z "${KEEP_IMAGES:-}" ] || ! there "$image"; then build "$kind"; fi
    inspect "$image"
    "$python" - "$config" "$image" >"$store/$kind.json" <<'END'
import json, sys
config = json.load(open(sys.argv[1], encoding="utf-8"))
config["sysconfig"].update(docker_image=sys.argv[2], use_gpu=False)
print(json.dumps(config))
END
    evaluate "$kind" "$repository/docker/as_armory.py" "$store/$kind.json"
    "$python" docker/same_numbers.py "$(result_of "$kind")" "$(result_of outside)"
    [ -n "${KEEP_IMAGES:-}" ] || buildah rmi --force "$image" >/dev/null
}

there "$base" || make_base
version=$("$python" -c 'import armory_skelevision; print(armory_skelevision.__version__)')
echo "== outside"
evaluate outside -m armory run "$config" --no-docker
for kind in "${kinds[@]}"; do try "$kind"; done
echo "== all went well: ${kinds[*]}"
