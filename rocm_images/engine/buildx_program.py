"""Finds the buildx that `docker buildx` would run, and runs it without docker in between.

docker starts the plugin once to ask what it is and once to run it; called by its own name the
plugin does the same, in less than half the time and processor time.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.version import Version

from rocm_images import telling
from rocm_images.engine.connect import version_in
from rocm_images.engine.contexts import configuration_folder
from rocm_images.engine.endpoint import asks_for_tls
from rocm_images.errors import EngineError
from rocm_images.foreign import document_of
from rocm_images.streams import GivenUp
from rocm_images.supervisor import supervisor

MINIMUM_BUILDX = Version("0.10")
SECONDS = 30.0
PLUGIN = "docker-buildx"
SYSTEM_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
"""Where docker looks for plugins, after the user's folders (docker/cli, cli-plugins/manager)."""


def buildx_command(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The command that runs buildx, with or without an engine.

    Raises:
        EngineError: it is missing or too old.
    """
    for command in _candidates(environment):
        try:
            answer = supervisor.run([*command, "version"], environment, seconds=SECONDS)
        except (OSError, GivenUp):
            continue
        if answer.status == 0 and "buildx" in answer.output:
            version = version_in(answer.output)
            if version < MINIMUM_BUILDX:
                raise EngineError(
                    f"buildx is version {version}, too old: install buildx {MINIMUM_BUILDX} or "
                    "later (the package docker-buildx-plugin or docker-buildx)"
                )
            telling.decided(f"buildx: {version}, run as {' '.join(command)}")
            return command
    if asks_for_tls(environment):
        raise EngineError(
            "`docker buildx version` does not answer, and buildx by itself reads no "
            "DOCKER_TLS_VERIFY: install docker's command and buildx for it (the packages "
            "docker-ce-cli and docker-buildx-plugin, or docker-cli and docker-buildx)"
        )
    raise EngineError(
        "buildx is missing: install it (the package docker-buildx-plugin or docker-buildx), "
        "so that `docker buildx version` answers"
    )


def settings_folder(environment: Mapping[str, str]) -> Path:
    """Where buildx keeps what it knows of builders and builds."""
    named = environment.get("BUILDX_CONFIG")
    return Path(named) if named else configuration_folder(environment) / "buildx"


def with_settings(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The environment for buildx, which ends at once where it cannot write its settings.

    They lie in Docker's configuration: a home that a user of a CI's container does not have, or a
    secret that is mounted. There they go to a folder that ends with this process.
    """
    if environment.get("BUILDX_CONFIG"):
        return environment
    folder = settings_folder(environment)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return environment
    except OSError:
        pass
    return {**environment, "BUILDX_CONFIG": _passing_folder()}


@functools.cache
def _passing_folder() -> str:
    made = tempfile.mkdtemp(prefix="rocm-serving-images-buildx-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    telling.decided(f"buildx keeps its settings in {made}: those of the user cannot be written")
    return made


def _candidates(environment: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    if asks_for_tls(environment):
        # It is docker that reads the variables, where a plugin by its own name passes them over.
        yield ("docker", "buildx")
        return
    for folder in _plugin_folders(environment):
        if os.access(folder / PLUGIN, os.X_OK):
            yield (str(folder / PLUGIN),)
            break  # docker runs the first one, too
    # docker may know of other folders; and a plugin on the PATH runs without docker.
    yield ("docker", "buildx")
    yield (PLUGIN,)


def _plugin_folders(environment: Mapping[str, str]) -> Iterator[Path]:
    """The folders of docker's plugins, in docker's order."""
    configuration = configuration_folder(environment)
    yield configuration / "cli-plugins"
    try:
        more = [*document_of(configuration / "config.json")["cliPluginsExtraDirs"]]
    except (OSError, ValueError, KeyError, TypeError):
        more = []
    # A name with a NUL is none, and nothing can be looked for in it.
    yield from (Path(name) for name in more if isinstance(name, str) and "\0" not in name)
    yield from map(Path, SYSTEM_FOLDERS)
