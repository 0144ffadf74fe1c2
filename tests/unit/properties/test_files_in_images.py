"""Whatever lies in an image or on its machine, the images' programs end as they say they do.

test_files_of_others.py has the table of all formats.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shared_objects
from graph_probe.channel import parse_message
from graph_probe.exit_codes import ProbeError
from graph_probe.image import ELSE_VARIABLE, PATH_VARIABLE, expected_gfx, known_facts
from image_doctor import all_checks
from image_doctor.command_line import main as doctor
from image_doctor.decompression import CannotDecompress
from image_doctor.offload_bundle import DamagedBundle, read_library
from image_doctor.packages import version_facts
from image_doctor.source_tree import NoSource
from image_doctor.variable import examine
from image_facts.description import FactsError, read
from image_facts.shell import as_shell
from image_servers import SERVERS, LogLines
from made_up_image import DESCRIPTION, DISPATCH, MadeUpImage
from odd_documents import contents, damaged, odd, written
from rocm_images.engine.machine import devices
from rocm_images.errors import NoImageFits
from serve_probe.client import RequestFailed, generations
from serve_probe.judge import judge_log
from serve_probe.server_log import ServerLog
from serve_probe.verdict import Ending
from stand_in_code_objects import bundle_for
from verbs import ACTS

PREFLIGHT = Path(__file__).parents[3] / "images" / "rootfs" / "usr/local/bin/rocm-preflight"
LOGS = Path(__file__).parents[2] / "data"
# A process for each case.
FEW = settings(max_examples=12)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeUpImage:
    return MadeUpImage(tmp_path_factory.mktemp("image") / "root")


def report_of(root: Path, *words: str) -> str:
    """What the doctor prints of a root."""
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), "utf-8")) as out:
        assert doctor(["--root", str(root), *words], {"PATH": "/usr/bin:/bin"}) in (0, 1)
        out.flush()
        printed = out.detach().getvalue().decode()
    assert "the check itself broke" not in printed
    assert not ACTS.search(printed)
    return printed


# What starts no process, and reads image.json.
QUICK = ("description", "rocm-release", "triton", "versions", "environment", "capture-guard")


@given(contents({**DESCRIPTION, "warnings": [{"id": "a", "text": "b"}]}))
def test_an_image_json(made: MadeUpImage, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    path = made.root / "opt/rocm-images/image.json"
    path.write_bytes(content)
    with monkeypatch.context() as patch:
        patch.setattr(all_checks, "ALL", {name: all_checks.ALL[name] for name in QUICK})
        report_of(made.root)
    environment = {PATH_VARIABLE: str(path)}
    known_facts(environment)
    with contextlib.suppress(ProbeError):
        expected_gfx(None, environment)
    known_facts({PATH_VARIABLE: "/proc/absent", ELSE_VARIABLE: content.decode(errors="replace")})
    with contextlib.suppress(FactsError):
        assert as_shell(read(path)).encode()


@FEW
@given(odd({**DESCRIPTION, "warnings": [{"id": "a", "text": "b"}]}))
def test_an_image_json_that_the_build_wrote_for_sh(made: MadeUpImage, document: Any) -> None:
    try:
        made.describe_as(written(document).decode())
    except FactsError:
        return
    preflight(made.root)


def preflight(root: Path) -> None:
    done = subprocess.run(
        ["sh", str(PREFLIGHT), "--root", str(root), "--report"],
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.returncode in (0, 21), done.stderr
    assert done.stderr == b""
    lines = [line.split("\t") for line in done.stdout.decode(errors="replace").splitlines()]
    assert lines
    assert {len(line) for line in lines} == {4}
    assert not ACTS.search("".join("".join(line) for line in lines))


NUMBERS = st.sampled_from(
    [
        "",
        "0",
        "00",
        "09",
        "090402",
        "-1",
        "0x10",
        "1e5",
        "9" * 30,
        "90402 1",
        "$(id)",
        "a b",
        "\x1b[2J",
    ]
) | st.integers(0, 2**70).map(str)
PROPERTIES = st.builds(
    lambda version, minor, end: (
        f"simd_count 0\ngfx_target_version {version}\ndrm_render_minor {minor}{end}".encode()
    ),
    NUMBERS | st.just("90402"),
    NUMBERS | st.just("128"),
    st.sampled_from(["\n", "", "\\\n", "\0\n"]),
)
MOUNTS = st.builds(lambda size: f"shm /dev/shm tmpfs rw,size={size}k 0 0\n".encode(), NUMBERS)


@FEW
@given(PROPERTIES | st.binary(max_size=200), MOUNTS | st.binary(max_size=200))
def test_files_of_the_kernel(made: MadeUpImage, properties: bytes, mounts: bytes) -> None:
    made.describe()
    made.set_gpus(90402)
    node = made.root / "sys/class/kfd/kfd/topology/nodes/1/properties"
    node.write_bytes(properties)
    (made.root / "proc/mounts").write_bytes(mounts)
    preflight(made.root)
    with contextlib.suppress(NoImageFits):
        for device in devices(made.root):
            assert re.fullmatch("gfx[0-9a-f]+", device.gfx)


def a_library(folder: Path, content: bytes) -> bytes:
    return shared_objects.write(folder / "a.so", fatbin=content).read_bytes()


@settings(max_examples=150)
@given(st.data())
def test_a_shared_object(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp()
    good = a_library(folder, bundle_for(["gfx942"]))
    at = good.index(b".hip_fatbin") + 20
    headers = st.builds(
        lambda place, value, size: (
            good[:place] + value.to_bytes(16, "little")[:size] + good[place + size :]
        ),
        st.integers(0, 64) | st.integers(at, len(good)) | st.integers(0, len(good)),
        st.sampled_from([0, 1, 2**16 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1])
        | st.integers(0, 999),
        st.sampled_from([1, 2, 4, 8]),
    )
    content = data.draw(headers | damaged(good) | st.binary(max_size=200))
    path = folder / "odd.so"
    path.write_bytes(content or b"\0")
    import mmap

    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        contextlib.suppress(DamagedBundle, CannotDecompress),
    ):
        read_library(mapped)


@given(st.text(max_size=60) | damaged(DISPATCH.encode()).map(lambda b: b.decode(errors="replace")))
def test_a_source_tree_and_a_version_file(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "source" / "sglang"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "__init__.py").touch()
    path = folder / "a.py"
    path.write_bytes(f"# SGLANG_USE_AITER_AR\n{text}".encode(errors="surrogatepass"))
    examine(folder.parent, SERVERS["sglang"])
    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        version_facts(path)


@given(st.data())
def test_a_wheel(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    good = io.BytesIO()
    with zipfile.ZipFile(good, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("sglang/__init__.py", "")
        wheel.writestr("sglang/a.py", DISPATCH)
    path = tmp_path_factory.getbasetemp() / "a.whl"
    path.write_bytes(data.draw(damaged(good.getvalue())))
    with contextlib.suppress(NoSource):
        examine(path, SERVERS["sglang"])


LOG_LINES = [
    line
    for path in sorted(LOGS.glob("serve_logs*/*.log"))
    for line in path.read_text(errors="replace").splitlines()[:400:7]
]


@given(
    st.lists(
        st.sampled_from(LOG_LINES)
        | st.builds(lambda line, cut, more: line[:cut] + more, st.sampled_from(LOG_LINES),
                    st.integers(0, 200), st.text(max_size=20)),
        max_size=12,
    ),
    st.sampled_from([server.log for server in SERVERS.values()]),
    st.sampled_from([Ending(1), Ending(-9, stopped=True), Ending(None, overdue=True)]),
)  # fmt: skip
def test_the_log_of_a_server(lines: list[str], said: LogLines, ending: Ending) -> None:
    log = ServerLog("\n".join(lines), said)
    assert judge_log(log, ending).sentence
    assert isinstance(log.captures, tuple)
    log.open_capture(len(lines) // 2)
    log.size_before(len(lines), 0)
    for phase in log.said.progress_phase.values():
        log.sizes_named(phase)
    _ = (log.all_reduce, log.decoded_with_graph, log.ready, log.graceful)
    assert len(log.tail(5).split("\n")) <= 5


ANSWER = {"meta_info": {"output_token_logprobs": [[-0.5, 7, None]]}, "output_ids": [7]}


@given(contents(ANSWER), st.booleans())
def test_an_answer_of_a_server(content: bytes, logprobs: bool) -> None:
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        return
    for server in SERVERS.values():
        with contextlib.suppress(RequestFailed):
            generations(server.probe.api, answer, logprobs)


@given(contents({"kind": "phase", "text": "t"}))
def test_a_message_of_a_child(content: bytes) -> None:
    with contextlib.suppress(ProbeError):
        assert "kind" in parse_message(content)
