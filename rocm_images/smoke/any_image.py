"""Runs graph-probe in any image that has a HIP runtime, on emulated GPUs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rocm_images import telling
from rocm_images.engine.connect import Engine
from rocm_images.engine.containers import container, run_to_its_end
from rocm_images.errors import EngineError, ExitCode, InputError, NoSuchImage
from rocm_images.masking import masked
from rocm_images.matrix.schema import Matrix
from rocm_images.recipe.facts import hip_facts
from rocm_images.recipe.labels import PREFIX
from rocm_images.smoke import emulator
from rocm_images.streams import TookTooLong
from rocm_images.waiting import waiting_for

if TYPE_CHECKING:
    from docker.models.containers import Container

# What needs nothing of an image but its HIP runtime: no decode, and no setting to judge.
DEFAULT = (("capture",), ("replay",))
SECONDS = 600
FACTS_VARIABLE = "GRAPH_PROBE_FACTS"


def probe_image(
    engine: Engine,
    image: str,
    arguments: Sequence[str],
    matrix: Matrix,
    *,
    gfx: str,
    gpus: int,
) -> ExitCode:
    """Run the probe, with its output on this process's; DONE where it ended with 0.

    Raises:
        InputError: the engine does not have the image, or nothing of it can be started.
        EngineError: the engine cannot run the emulator, or it failed.
        BuildFailed: the emulator does not build.
    """
    emulator.provide(engine)
    # An image that is not ours has no facts of its own.
    known = json.dumps(hip_facts(matrix, None))
    environment = {**emulator.environment(gfx, gpus), FACTS_VARIABLE: known}
    ended = []
    for words in (tuple(arguments),) if arguments else DEFAULT:
        status = _run(engine, image, words, environment)
        if status != 0:
            ended.append(f"graph-probe {' '.join(words)} ended with {status}")
    if not ended:
        return ExitCode.DONE
    telling.failure(f"{', '.join(ended)}: docs/probe.md has its exit codes")
    return ExitCode.SMOKE_FAILED


def _pass_on(engine: Engine, probe: Container) -> None:
    """What the probe said, as far as it came."""
    for to, other in ((sys.stdout, "stderr"), (sys.stderr, "stdout")):
        said = probe.logs(stream=True, follow=False, **{other: False})
        for content in engine.patience.each(said, SECONDS):
            to.write(masked(content.decode(errors="replace")))
        to.flush()


def _run(engine: Engine, image: str, arguments: Sequence[str], environment: dict[str, str]) -> int:
    from docker.errors import APIError, DockerException, ImageNotFound
    from requests.exceptions import RequestException

    client = engine.client()
    try:
        client.images.get(image)
        with (
            emulator.lent(client) as holder,
            container(
                client,
                image,
                list(arguments),
                entrypoint=[emulator.PROBE_COMMAND],
                network_mode="none",
                environment=environment,
                volumes_from=[f"{holder}:ro"],
                labels={PREFIX + "smoke": "probe"},
            ) as probe,
        ):
            late = None
            # It ends by itself before that, unless something in the image does not.
            try:
                with waiting_for(f"the graph probe in {image}"):
                    status = run_to_its_end(engine, probe, SECONDS)
            except TookTooLong as error:
                status, late = 1, error
            _pass_on(engine, probe)
            if late:
                telling.failure(f"graph-probe {' '.join(arguments)} was stopped: {late}")
            return status
    except TookTooLong as error:
        telling.failure(f"graph-probe {' '.join(arguments)}: what it said does not come: {error}")
        return 1
    except ImageNotFound:
        raise NoSuchImage(image) from None
    except (DockerException, RequestException) as error:
        if isinstance(error, APIError) and error.is_client_error():
            raise InputError(f"{image!r} cannot be started: {error.explanation}") from None
        raise EngineError(f"the engine at {engine.address} failed: {error}") from None
    finally:
        client.close()
