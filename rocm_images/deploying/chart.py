"""Writes a Helm chart of a server: what a deployment says are its values.

With them it renders to the objects of `--as kubernetes`.
"""

from __future__ import annotations

from pathlib import Path

from rocm_images.deploying.manifests import Deployment, from_template, in_yaml
from rocm_images.engine.run_flags import serving_command
from rocm_images.errors import InputError
from rocm_images.files import write_whole
from rocm_images.recipe import templates
from rocm_images.servers import Server

_FOLDER = "deploying/chart"
_MADE = ("Chart.yaml", "values.yaml")
_AS_WRITTEN = (
    "values.schema.json",
    "templates/deployment.yaml",
    "templates/models.yaml",
    "templates/service.yaml",
)
# No deployment has such a port, or so many GPUs: where they stand, the values' come.
_PORT, _GPUS = 1_000_001, 1_000_002
_VALUES = {str(_PORT): "{{ .Values.port }}", str(_GPUS): "{{ .Values.gpus.count }}"}


def chart(deployment: Deployment) -> dict[str, str]:
    """The texts of a chart's files, by their paths in its folder.

    Raises:
        InputError: somebody's own template is wrong.
    """
    command = command_of_values(deployment.server)
    made = {
        name: from_template(f"chart/{name}.j2", deployment, in_yaml, command=command)
        for name in _MADE
    }
    return made | {name: templates.as_written(f"{_FOLDER}/{name}") for name in _AS_WRITTEN}


def write_chart(deployment: Deployment, folder: Path) -> None:
    """Write a chart's folder, or write it anew.

    Raises:
        InputError: the folder holds something else, or cannot be written; or as `chart`.
        WriteRefused: the disk is full or read-only, or the like.
    """
    is_new = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not is_new and not (folder / "Chart.yaml").is_file():
        raise InputError(f"{folder} is there and is no chart: name a folder that is new")
    for name, text in chart(deployment).items():
        write_whole(folder / name, text)


def command_of_values(server: Server) -> list[str]:
    """The command that serves a model, each word a template of Helm's."""
    words = serving_command(server, "{{ .Values.model }}", _PORT, _GPUS)
    return [_VALUES.get(word, word) for word in words]
