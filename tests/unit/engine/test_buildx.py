"""Plain BuildKit progress is read for the step at work and for what failed."""

from __future__ import annotations

import os
import select
import sys
from pathlib import Path

import pytest

from rocm_images.engine.buildx import BuildRequest, Buildx, PlainProgress, command, follow
from rocm_images.engine.patience import Patience
from rocm_images.matrix.schema import Layers
from rocm_images.recipe.compression import output

# Printed by buildx 0.13.1 on Docker 26.1.
FAILED = """\
#0 building with "default" instance using docker driver
#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
#5 [context aiter-src] load from client
#5 DONE 0.0s
#6 [base 1/2] RUN one
#6 CACHED
#7 [aiter 1/1] RUN --mount=type=bind,from=aiter-src,target=/src   cd /src  && make
#7 0.101 compiling
#7 0.202 kernel.cpp:3: error
#7 ERROR: process "/bin/sh -c make" did not complete successfully: exit code: 2
------
 > [aiter 1/1] RUN cd /src && make:
0.202 kernel.cpp:3: error
------
ERROR: failed to solve: process "/bin/sh -c make" did not complete successfully: exit code: 2
"""


def feed(text: str) -> tuple[PlainProgress, list[str]]:
    progress, steps = PlainProgress(), []
    for line in text.removesuffix("\n").split("\n"):
        if progress.feed(line):
            steps.append(progress.step)
    return progress, steps


def buildx(*, has_bridge: bool = True, **environment: str) -> Buildx:
    return Buildx(("docker", "buildx"), environment, has_bridge, Patience("unix:///proc/absent"))


def request(**changes: object) -> BuildRequest:
    values: dict[str, object] = {
        "dockerfile": Path("d/Dockerfile"),
        "directory": Path("rootfs"),
        "references": ("a:1", "a:2"),
        "contexts": {"aiter-src": "/checkout"},
        "labels": {"l": "v"},
        "log": Path("log"),
        **changes,
    }
    return BuildRequest(**values)  # type: ignore[arg-type]


def test_the_failing_step_and_the_end_of_its_output_are_found() -> None:
    progress, _ = feed(FAILED)
    assert progress.failed_step == "[aiter 1/1] RUN cd /src && make"
    assert progress.error.endswith("exit code: 2")
    assert progress.tail() == ["compiling", "kernel.cpp:3: error"]


def test_only_steps_that_do_work_are_shown() -> None:
    _, steps = feed(FAILED)
    assert steps == ["[aiter 1/1] RUN cd /src && make"]


def test_an_error_before_any_step_is_kept() -> None:
    progress, _ = feed("ERROR: failed to read dockerfile: no such file\n")
    assert progress.error == "failed to read dockerfile: no such file"
    assert progress.tail() == ["ERROR: failed to read dockerfile: no such file"]


def test_every_tag_context_and_label_is_passed() -> None:
    words = command(buildx(), request())
    assert words[:2] == ["docker", "buildx"]
    for word in ("--tag=a:1", "--tag=a:2", "--build-context=aiter-src=/checkout", "--label=l=v"):
        assert word in words
    assert words[-1] == "rootfs"


def test_a_build_of_replaced_sources_has_cache_mounts_apart_from_all_others() -> None:
    def namespaces(words: list[str]) -> list[str]:
        return [word for word in words if "BUILDKIT_CACHE_MOUNT_NS=" in word]

    (namespace,) = namespaces(command(buildx(), request(replaced=True)))
    assert namespace.startswith("--build-arg=")
    assert namespaces(command(buildx(), request())) == []


@pytest.mark.parametrize(("asked", "word"), [("no_cache", "--no-cache"), ("pull", "--pull")])
def test_a_build_is_anew_where_that_is_asked(asked: str, word: str) -> None:
    assert word in command(buildx(), request(**{asked: True}))
    assert word not in command(buildx(), request())


def test_a_builder_of_its_own_loads_its_image() -> None:
    assert {"--builder=remote", "--load"} <= set(command(buildx(), request(builder="remote")))
    assert "--load" not in command(buildx(), request())


def test_layers_are_compressed_as_asked_by_the_engine_and_by_a_builder_of_its_own() -> None:
    words = command(buildx(), request(layers=Layers()))
    assert f"--output={output(Layers())}" in words
    said = {"title": "a, b"}
    words = command(buildx(), request(layers=Layers(), annotations=said))
    assert f"--output={output(Layers(), annotations=said)}" in words
    words = command(buildx(), request(layers=Layers(), builder="remote"))
    # The exporter that loads what a builder of its own has made.
    assert f"--output={output(Layers(), 'docker')}" in words
    assert "--load" not in words


def test_an_engine_without_a_bridge_builds_on_the_hosts_network() -> None:
    assert "--network=host" in command(buildx(has_bridge=False), request())
    assert "--network=host" not in command(buildx(), request())


def test_the_network_that_was_asked_for_wins() -> None:
    assert "--network=none" in command(buildx(has_bridge=False), request(network="none"))


def test_a_proxy_is_passed_without_its_password() -> None:
    words = command(buildx(HTTPS_PROXY="http://user:secret@proxy"), request())
    assert "--build-arg=HTTPS_PROXY" in words
    assert not [word for word in words if "secret" in word]


def test_secrets_are_passed_as_files() -> None:
    words = command(buildx(), request(secrets={"ca-bundle": Path("/ca.pem")}))
    assert "--secret=id=ca-bundle,src=/ca.pem" in words


# Printed by buildx 0.13.1 on Docker 26.1 with --cache-to=type=registry.
CACHED = """\
#44 exporting to image
#44 DONE 0.1s

#45 exporting cache to registry
#45 preparing build cache for export
#45 writing layer sha256:{layer} done
#45 preparing build cache for export 3.4s done
#45 writing config sha256:{layer} 0.0s done
#45 writing cache image manifest sha256:{cache} 0.0s done
#45 DONE 3.4s
"""
CACHE, FORGED = "c" * 64, "f" * 64
EXPORTED = CACHED.format(layer="a" * 64, cache=CACHE)
STEP = "#9 [base 2/2] RUN make\n"


@pytest.mark.parametrize("doing", ["writing cache image manifest", "writing cache manifest"])
def test_the_cache_that_the_build_left_is_read(doing: str) -> None:
    assert feed(EXPORTED.replace("writing cache image manifest", doing))[0].cache[7:] == CACHE
    # BuildKit repeats a vertex and what it says of it.
    assert feed(EXPORTED * 2)[0].cache == f"sha256:{CACHE}"


@pytest.mark.parametrize(
    "line",
    [
        f"#9 writing cache manifest sha256:{FORGED}",
        f"#9 0.5 writing cache manifest sha256:{FORGED}",
        f"#10 writing cache manifest sha256:{FORGED} done",
        f"#9 exporting cache to registry\n#9 writing cache manifest sha256:{FORGED}",
        f"#9 0.5 x\r#45 writing cache manifest sha256:{FORGED}",
        f"#45 writing cache manifest sha256:{FORGED}0",
        f" #45 writing cache manifest sha256:{FORGED}",
    ],
)
def test_what_another_step_prints_is_no_cache(line: str) -> None:
    for text in (f"{STEP}{line}\n", f"{STEP}{line}\n{EXPORTED}", f"{EXPORTED}{STEP}{line}\n"):
        progress, _ = feed(text)
        assert progress.cache == (f"sha256:{CACHE}" if EXPORTED in text else "")


def test_of_two_caches_none_is_told() -> None:
    other = CACHED.format(layer="a" * 64, cache=FORGED)
    assert feed(EXPORTED + other)[0].cache == ""


def test_a_line_ends_where_buildkit_ends_it(tmp_path: Path) -> None:
    forged = f"{STEP}#9 0.5 50%\r#45 exporting cache to registry\r"
    forged += f"#45 writing cache manifest sha256:{FORGED} done\r\n#9 ERROR: no\n"
    words = [sys.executable, "-c", f"import sys; sys.stdout.buffer.write({forged.encode()!r})"]
    _, read = follow(words, buildx(), tmp_path / "log", lambda step: None)
    assert read.cache == ""
    assert read.tail() == [f"#45 writing cache manifest sha256:{FORGED} done"]


NOISY = """
import os, sys
print("#1 [a 1/1] RUN pip --index-url", sys.argv[1])
print("#1 0.1 environment:", os.environ["HTTP_PROXY"])
print("#1 0.2", "x" * 1_000_000, flush=True)
sys.stderr.write("#1 ERROR: no answer from " + sys.argv[1])
sys.exit(1)
"""


def test_what_a_build_says_is_kept_without_credentials_and_without_its_longest_lines(
    tmp_path: Path,
) -> None:
    log, secret = tmp_path / "log", "http://me:secret@proxy:3128"
    words = [sys.executable, "-c", NOISY, secret]
    told: list[str] = []
    status, read = follow(words, buildx(HTTP_PROXY=secret), log, told.append)
    assert status == 1
    assert log.read_text().count("http://***@proxy:3128") == 4
    assert log.stat().st_size < 70_000
    assert read.error == "no answer from http://***@proxy:3128"
    assert "secret" not in f"{log.read_text()}{read.error}{read.tail()}{told}{read.failed_step}"


def test_whoever_stops_following_a_build_ends_it(tmp_path: Path) -> None:
    # Each process of the build holds the pipe open; it ends when none of them is left.
    held = tmp_path / "held"
    os.mkfifo(held)
    reader = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    script = 'exec 3> "$0"; echo x >&3; echo "#1 [a 1/1] RUN b"; echo "#1 0.1 c"; sleep 60 & wait'

    def interrupted(step: str) -> None:
        raise KeyboardInterrupt

    words = ["sh", "-c", script, str(held)]
    with pytest.raises(KeyboardInterrupt):
        follow(words, buildx(**os.environ), tmp_path / "log", interrupted)
    os.set_blocking(reader, True)
    said = []
    while select.select([reader], [], [], 20)[0] and (content := os.read(reader, 16)):
        said.append(content)
    living = not select.select([reader], [], [], 0)[0]
    os.close(reader)
    assert said == [b"x\n"]
    assert not living
