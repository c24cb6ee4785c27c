"""Evaluate a config in an image as `armory run CONFIG` does, where there is buildah and no Docker daemon.

    python docker/as_armory.py CONFIG [OPTION OF `armory run`…]

It is ARMORY's own command that runs here, in its Docker mode: mounts, variables, the command to stay up by and the
command to evaluate by are what ARMORY asks for. Only who carries them out is another: the few calls that ARMORY makes
of Docker's Python client are answered by buildah. To be run as root, since buildah is; the container runs as `USER`, a
user whom the image does not know, as on a machine of somebody else's.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

USER = 1234
"""uid and gid of whoever evaluates."""

FOLDERS = ("dataset_dir", "local_git_dir", "saved_model_dir", "pytorch_dir", "tmp_dir", "output_dir")


def buildah(*arguments: str) -> str:
    """What a buildah command prints.

    Raises:
        subprocess.CalledProcessError: If it fails; its own message has been printed by then.
    """
    return subprocess.run(["buildah", *arguments], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


class Container:
    """A container that was started from an image, with as much of `docker.models.containers.Container` as is used."""

    def __init__(
        self, image: str, command: str, mounts: Sequence[Mapping[str, Any]], user: str, environment: Mapping[str, str]
    ) -> None:
        volumes = [f"--volume={mount['Source']}:{mount['Target']}:rw" for mount in mounts]
        self._options = [*volumes, *(f"--env={key}={value}" for key, value in environment.items())]
        self._removed = False
        self.short_id = buildah("from", "--pull-never", image)
        settings = json.loads(buildah("inspect", self.short_id))["OCIv1"]["config"]
        self._staying = self._start([*settings.get("Entrypoint", []), *shlex.split(command)], user)

    def _start(self, command: Sequence[str], user: str) -> subprocess.Popen[bytes]:
        arguments = ["buildah", "run", "--user", user, *self._options, self.short_id, "--", *command]
        # a group of its own, since buildah leaves its child behind when it is ended
        return subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0, start_new_session=True
        )

    def exec_run(self, cmd: str, user: str, **_: Any) -> SimpleNamespace:
        """Run a further command; ``output`` of what is returned gives its lines.

        Raises:
            RuntimeError: If the container's first command has not stayed up.
        """
        time.sleep(2)
        if self._staying.poll() is not None:
            told = self._staying.stdout.read().decode() if self._staying.stdout else ""
            raise RuntimeError(f"the container ended by itself: {told}")
        return SimpleNamespace(output=self._follow(self._start(shlex.split(cmd), user)))

    def _follow(self, process: subprocess.Popen[bytes]) -> Iterator[bytes]:
        try:
            yield from process.stdout or ()
        finally:
            _end(process)

    def stop(self) -> None:
        """End the first command and remove the container; a second time, do nothing."""
        _end(self._staying)
        if not self._removed:
            self._removed = True
            buildah("rm", self.short_id)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Client:
    """Docker's client, as far as ARMORY calls it."""

    def __init__(self) -> None:
        self.images = SimpleNamespace(get=lambda name: buildah("inspect", "--type", "image", name))
        self.containers = SimpleNamespace(run=self._run)
        self.started: list[Container] = []

    def _run(self, image: str, *, runtime: str, **options: Any) -> Container:
        if runtime != "runc":
            raise RuntimeError(f"no runtime {runtime!r} here: no GPU can be shown to the container")
        wanted = ("command", "mounts", "user", "environment")
        self.started.append(Container(image, **{key: options[key] for key in wanted}))
        return self.started[-1]


def main(arguments: Sequence[str]) -> int:
    """`armory run` with these arguments; returns its exit code."""
    from armory import __main__, paths
    from armory.docker import management
    from armory.eval import Evaluator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that ARMORY is not configured
        host = paths.HostPaths()
    for name in FOLDERS:
        os.chown(getattr(host, name), USER, USER)
    client = Client()
    management.docker.from_env = lambda **_: client
    Evaluator.get_id = lambda self: f"{USER}:{USER}"
    try:
        return __main__.run(list(arguments), "armory run", None) or 0
    finally:
        # ARMORY leaves it to Python's own tidying, which after an error comes too late
        for container in client.started:
            container.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
