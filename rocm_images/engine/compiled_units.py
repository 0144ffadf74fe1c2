"""Moves what ccache has of a cell between a registry and BuildKit, which exports no cache mount.

Two targets of the recipe do it (templates/parts/units.j2), each in a build of its own: an image
that the step which compiles mounted would be part of that step's cache key.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rocm_images.engine import buildx
from rocm_images.engine.buildx import BuildRequest, Buildx
from rocm_images.engine.connect import Engine
from rocm_images.errors import BuildFailed, EngineError
from rocm_images.references import CONTEXT

LARGEST_UNITS = 6 << 30
"""Bytes of units that are taken: ccache keeps 4 GiB of a cell, and cleans up when it has more."""
_UNITS, _IN, _OUT, _ROUND = "compiled-units", "units-in", "units-out", "UNITS_ROUND"


@dataclass(frozen=True)
class UnitBuilds:
    """The builds beside that of one image, with the same base, secrets and network."""

    engine: Engine
    buildx: Buildx
    image: BuildRequest
    on_step: Callable[[str], None]

    def take(self, reference: str) -> None:
        """Put the units of an image, named by its digest, into the mount.

        Raises:
            BuildFailed: they cannot be taken.
            EngineError: the engine failed, or has not answered for a minute.
        """
        self.on_step("take compiled units")
        contexts = {**self.image.contexts, _UNITS: CONTEXT + reference}
        with _in_words():
            self._run(replace(self.image, contexts=contexts), _IN, "type=cacheonly")

    def keep(self, reference: str) -> str:
        """Push what the mount has under a tag; returns the digest that BuildKit pushed.

        Raises:
            BuildFailed: it cannot be pushed.
            EngineError: the engine failed, or has not answered for a minute.
        """
        self.on_step("keep compiled units")
        # ccache has compressed them.
        output = f"type=image,name={reference},push=true,compression=uncompressed"
        with _in_words(), tempfile.TemporaryDirectory() as folder:
            said = Path(folder) / "metadata.json"
            try:
                self._run(self.image, _OUT, output, f"--metadata-file={said}")
            finally:
                # Of a push that was refused, too: it is gigabytes.
                self._forget(reference)
            try:
                return str(json.loads(said.read_text())["containerimage.digest"])
            except (OSError, ValueError, LookupError, TypeError):
                raise BuildFailed("buildx does not say which digest it pushed") from None

    def _forget(self, reference: str) -> None:
        """Take away the image that the engine's own builder has loaded to push it."""
        from docker.errors import ImageNotFound

        client = self.engine.client()
        try:
            client.images.remove(reference)
        except ImageNotFound:
            pass
        finally:
            client.close()

    def _run(self, image: BuildRequest, target: str, output: str, *more: str) -> None:
        request = replace(
            image,
            references=(),
            labels={},
            cache=None,
            build_args={**image.build_args, _ROUND: uuid.uuid4().hex},
            # It has the image loaded, which these are not.
            builder=None,
            target=target,
            layers=None,
            log=image.log.with_suffix(f".{target}.log"),
        )
        *words, folder = buildx.command(self.buildx, request)
        words += [f"--output={output}", *more]
        words += [f"--builder={image.builder}"] if image.builder else []
        status, read = buildx.follow([*words, folder], self.buildx, request.log, lambda _: None)
        if status != 0:
            raise BuildFailed(f"{read.error or f'buildx ended with {status}'}; log: {request.log}")


@contextmanager
def _in_words() -> Iterator[None]:
    """Whatever fails, as a failure that those who move units expect: none of them fails a build."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        raise EngineError(f"the engine failed: {error}") from None
    except OSError as error:
        raise BuildFailed(f"{error.filename or 'a child process'}: {error.strerror}") from None
