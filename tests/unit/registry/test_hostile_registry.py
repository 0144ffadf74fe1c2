"""Whatever a registry does, each verb that reads it ends in a sentence and writes nothing."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import signal
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import NoReturn

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from made_up_sbom import bill_of

from made_up_programs import COSIGN_VERSION
from made_up_registry import Image, MadeUpRegistry, digest
from misbehaviours import ANSWERS, ENDLESS, IMAGES, misbehave
from rocm_images.build import run as build_run
from rocm_images.build import site, targets
from rocm_images.build.site import RealSite
from rocm_images.build.targets import Target, targets_of
from rocm_images.ci import verbs as ci_verbs
from rocm_images.cli.ending import ended
from rocm_images.cli.main import main, start
from rocm_images.distributing import pull as pulling
from rocm_images.engine.connect import Engine, Version
from rocm_images.engine.images import BUILD_ID
from rocm_images.engine.images import CELL as LABEL_OF_CELL
from rocm_images.errors import EngineError, ExitCode
from rocm_images.matrix.schema import Matrix
from rocm_images.plan import load as plan_load
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.recipe.labels import VERSION
from rocm_images.recipe.render import render
from rocm_images.registry import retries, transport
from rocm_images.registry.statements import InChannel, Release
from rocm_images.smoke import run as smoke_run
from rocm_images.smoke.evidence import Evidence, Level
from rocm_images.start import ENDING
from rocm_images.supervisor import supervisor

PROJECT = Path(__file__).resolve().parents[3]
CELL = "--arch 942 --base 7.2.2"
QUICK = transport.Deadlines(connect=5, between=0.25, whole=0.5)
# Says yes to everything: what a registry says is refused without its help.
STAND_IN_COSIGN = (
    f"""\
#!/bin/sh
# A stand-in for cosign.
{COSIGN_VERSION}
"""
    + """\
echo "$1" >> "${0%/*}/cosign-was-asked"
case "$*" in
verify-attestation*--type=*/evidence/*) cat "${0%/*}/evidence" ;;
verify-attestation*--type=*/release/*) cat "${0%/*}/release" ;;
verify-attestation*--type=*cyclonedx*) cat "${0%/*}/sbom" ;;
esac
for word; do
    case "$1 $word" in
    *" --bundle="* | *" --outfile="*) echo '{"a": "stand-in"}' > "${word#*=}" ;;
    "save --dir="*) echo '{"manifests": []}' > "${word#*=}/index.json" ;;
    esac
done
exit 0
"""
)
ENDS = (
    ExitCode.REGISTRY_FAILED,
    ExitCode.VERIFICATION_FAILED,
    # Publishing names each cell that may not be published.
    ExitCode.PUBLISH_REFUSED,
)
# `{r}` is the registry, `{g}` one that behaves, `{o}` a folder, `{t}` a rolling tag, `{i}` the
# immutable one and `{d}` the image's digest.
IMAGE_VERBS = {
    "publish": f"publish {CELL} --registry {{r}} --output {{o}} --mend-catalogue",
    "publish, to look": f"publish {CELL} --registry {{r}} --dry-run --mend-catalogue",
    "publish a bundle": "publish --registry {r} --output {o} --from {o}/b.tar",
    "push": f"push {CELL} --registry {{r}}",
    "pull a tag": "pull {r}/sglang-rocm:{t}",
    "pull an immutable tag": "pull {r}/sglang-rocm:{i}",
    "rollback": "rollback --registry {r} --output {o} --to {i}",
    "mirror from": f"mirror {CELL} --registry {{r}} --to {{g}}",
    "mirror to": f"mirror {CELL} --registry {{g}} --to {{r}}",
    "bundle": f"bundle {CELL} --registry {{r}} --output {{o}}/site.tar",
}
TAG_VERBS = {
    "build": f"build {CELL} --registry {{r}}",
    "ci-matrix": f"ci-matrix {CELL} --missing-from {{r}}",
    "plan": f"plan {CELL} --registry {{r}}",
}
VERBS = {
    **IMAGE_VERBS,
    **TAG_VERBS,
    "pull a digest": "pull {r}/sglang-rocm@{d}",
    "catalogue": "catalogue --registry {r} --output {o}",
}
WITHOUT_AN_ENGINE = ("pull a tag", "pull an immutable tag")
"""Those that end where an engine would go on, once they believe the registry."""
SIGNING_VERBS = ("publish", "push", "rollback")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def target(project_matrix: Matrix) -> Target:
    """The cell whose image is asked for."""
    wanted = f"--server {project_matrix.default_server} {CELL}"
    chosen = [one for one in cells_of(project_matrix) if one.words == wanted]
    (found,) = targets_of(RealSite(), PROJECT / "matrix.yaml", project_matrix, chosen)
    return found


@pytest.fixture(scope="module")
def image(target: Target) -> Image:
    """The image of the cell: what a registry has that behaves."""
    assert target.inputs is not None
    return Image(
        {
            BUILD_ID: target.inputs.build_id,
            LABEL_OF_CELL: target.cell.name,
            VERSION: target.cell.tags[0],
        }
    )


def behaving(image: Image) -> Iterator[MadeUpRegistry]:
    with MadeUpRegistry() as found:
        found.labels = image.labels
        found.behave()
        yield found


registry = pytest.fixture(scope="module", name="registry")(behaving)
good = pytest.fixture(scope="module", name="good")(behaving)


@pytest.fixture(scope="module")
def statements(target: Target, image: Image) -> dict[str, str]:
    """As cosign prints what is signed about the image, by its kind."""
    assert target.inputs is not None
    tested = {"device": Level.GPU, "passed": 3, "failures": (), "seconds": 1.0, "probe": None}
    evidence = Evidence.of(target.cell, digest(image.top), tests=smoke_run.tests_digest(), **tested)
    given = InChannel(tags=target.cell.tags, date=datetime.now(timezone.utc))
    release = Release(
        repository="sglang-rocm",
        cell=target.cell.name,
        build_id=target.inputs.build_id,
        immutable=target.immutable_tag,
        channels={"stable": given},
    )
    said = {
        "evidence": replace(evidence, level=Level.GPU).document,
        "release": release.document,
        "sbom": bill_of(digest(image.top)),
    }
    subject = [{"digest": {"sha256": digest(image.top).removeprefix("sha256:")}}]
    found = {}
    for kind, predicate in said.items():
        statement = json.dumps({"subject": subject, "predicate": predicate}).encode()
        found[kind] = json.dumps({"payload": base64.b64encode(statement).decode()})
    return found


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """The key that signs, and the one that does not."""
    folder = tmp_path_factory.mktemp("keys")
    key, pem = ec.generate_private_key(ec.SECP256R1()), serialization.Encoding.PEM
    private, public = serialization.PrivateFormat.PKCS8, serialization.PublicFormat
    found = {True: folder / "cosign.key", False: folder / "cosign.pub"}
    found[True].write_bytes(key.private_bytes(pem, private, serialization.NoEncryption()))
    found[False].write_bytes(key.public_key().public_bytes(pem, public.SubjectPublicKeyInfo))
    return found


@pytest.fixture
def folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    image: Image,
    target: Target,
    statements: dict[str, str],
) -> Path:
    """The only folder that a verb may write to: it has a bundle in it. No engine answers."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "cosign").write_text(STAND_IN_COSIGN)
    (programs / "cosign").chmod(0o755)
    for kind, text in statements.items():
        (programs / kind).write_text(f"{text}\n")
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("GITHUB_OUTPUT", "ROCM_IMAGES_REGISTRY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(RealSite, "found_engine", lambda site: None)
    nobody = Engine("unix:///proc/absent", Version("28"), "1.48", {"PATH": os.environ["PATH"]})
    monkeypatch.setattr(site, "connect", lambda: nobody)
    monkeypatch.setattr(RealSite, "prepared", lambda *_, **__: nobody)
    monkeypatch.setattr(build_run, "with_found", lambda _, given: given)
    found = tmp_path / "written"
    found.mkdir()
    monkeypatch.setattr(pulling, "pull", _no_engine)
    for module in (ci_verbs, build_run):
        monkeypatch.setattr(module, "STATE", found)
    _write_bundle(found / "b.tar", image)
    return found


def _no_engine(*_: object) -> NoReturn:
    raise EngineError("no engine answers")


def _write_bundle(path: Path, image: Image) -> None:
    attached = [b"{}", json.dumps({"config": {"digest": digest(b"{}")}, "layers": []}).encode()]
    kind = {"kind": "dev.cosignproject.cosign/atts"}
    statements = {"digest": digest(attached[1]), "annotations": kind}
    entry = {"digest": digest(image.top), "entries": [image.entry(), statements]}
    document = {"schema": 2, "channel": "stable", "images": [entry]}
    files = {"bundle.json": json.dumps(document).encode()}
    for content in (*image.blobs.values(), *image.manifests.values(), *attached):
        files[f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"] = content
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture(scope="module", autouse=True)
def _once(project_matrix: Matrix) -> Iterator[None]:
    """The matrix is read, and the Dockerfile rendered, once for all of these tests."""
    rendered = [*render(project_matrix, cells_of(project_matrix))]

    def those_of(_: Matrix, cells: Sequence[Cell]) -> list[tuple[Cell, str]]:
        return [one for one in rendered if one[0].name in {cell.name for cell in cells}]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan_load, "load", lambda _: project_matrix)
        patch.setattr(targets, "render", those_of)
        yield


@pytest.fixture
def run(
    registry: MadeUpRegistry,
    good: MadeUpRegistry,
    folder: Path,
    image: Image,
    target: Target,
    keys: dict[bool, Path],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Run]:
    """A verb as a user types it; gives its exit code, standard output and standard error."""
    monkeypatch.setattr(retries, "sleep", lambda seconds: None)
    handlers = {number: signal.getsignal(number) for number in ENDING}

    def given(verb: str) -> tuple[int, str, str]:
        named = {
            "r": registry.address,
            "g": good.address,
            "o": folder,
            "t": target.cell.tags[0],
            "i": target.immutable_tag,
            "d": digest(image.top),
        }
        words = [word.format(**named) for word in verb.split()]
        takes = {parameter.name for parameter in main.commands[words[0]].params}
        signs = words[0] in SIGNING_VERBS and "--from" not in words
        option = "--sign-key" if signs else "--key"
        more = [f"{option}={keys[signs]}"] if "key" in takes else []
        more += ["--attempts=2"] if "attempts" in takes else []
        monkeypatch.setattr(sys, "argv", ["build.py", *words, *more])
        return ended(lambda: start), *capfd.readouterr()

    yield given
    supervisor.begin()
    for number, handler in handlers.items():
        signal.signal(number, handler)


CASES = [
    *((verb, name) for verb in VERBS for name in ANSWERS),
    *((verb, name) for verb in IMAGE_VERBS for name in IMAGES),
]


def cosign_was_asked(folder: Path) -> set[str]:
    path = folder.parent / "programs" / "cosign-was-asked"
    return set(path.read_text().split()) if path.exists() else set()


@pytest.mark.parametrize(("verb", "misbehaviour"), CASES)
def test_a_verb_meets_a_hostile_registry(
    registry: MadeUpRegistry,
    good: MadeUpRegistry,
    run: Run,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    misbehaviour: str,
) -> None:
    if misbehaviour in ENDLESS:
        monkeypatch.setattr(transport, "DEADLINES", QUICK)
    misbehave(registry, misbehaviour)
    code, output, errors = run(VERBS[verb])
    assert code in ENDS, errors
    assert errors.startswith("build.py: ") or "\nbuild.py: " in errors
    assert "Traceback" not in errors
    assert len(errors) < 2000
    assert not (set(output + errors) & set("\x1b\x07\x9b"))
    assert registry.asked
    assert registry.writes == good.writes == []
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["b.tar"]
    assert cosign_was_asked(folder) <= {"public-key", "verify", "verify-attestation"}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_begins_nothing_with_a_cosign_that_nobody_tried(
    registry: MadeUpRegistry, good: MadeUpRegistry, run: Run, folder: Path, verb: str
) -> None:
    (folder.parent / "programs" / "cosign").write_text("#!/bin/sh\necho GitVersion: v4.0.1\n")
    registry.behave()
    code, _, errors = run(VERBS[verb])
    assert code == ExitCode.ENGINE_UNUSABLE, errors
    assert "put cosign 2 or 3 first on the PATH" in errors
    assert registry.writes == good.writes == []
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["b.tar"]


@pytest.mark.parametrize("verb", {**IMAGE_VERBS, **TAG_VERBS})
def test_a_verb_believes_a_registry_that_behaves(
    registry: MadeUpRegistry, run: Run, folder: Path, verb: str
) -> None:
    registry.behave()
    code, _, errors = run(VERBS[verb])
    end = ExitCode.ENGINE_UNUSABLE if verb in WITHOUT_AN_ENGINE else ExitCode.DONE
    assert code == end, errors
    assert verb in TAG_VERBS or "verify-attestation" in cosign_was_asked(folder)


@pytest.mark.parametrize("content", ["the image and a foreign one", "an image without layers"])
def test_a_catalogue_without_content_is_none(
    registry: MadeUpRegistry, run: Run, content: str
) -> None:
    misbehave(registry, content)
    registry.image.tags["catalogue"] = registry.image.top
    code, _, errors = run(VERBS["catalogue"])
    assert code in ENDS
    assert "catalogue is no catalogue" in errors or "carries no signature" in errors
