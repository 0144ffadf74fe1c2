"""No file outside the seam names an inference server: what differs stands in the server's own."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from rocm_images.servers import SERVERS

PROJECT = Path(__file__).resolve().parents[2]
SEAM = (
    "images/rootfs/opt/rocm-images/image_servers/",
    "templates/servers/",
    "matrix.yaml",
)
# A folder ends in /; a name that begins with * is of any folder.
EXEMPT = {
    "docker-bake.json": "rendered from the matrix",
    "images/*/Dockerfile": "rendered from the matrix",
    "tests/": "they say what is to come out, of each server",
    "rehearsal/sources/": "each server's stand-in of its own sources",
    "README.md": "for users, who choose a server",
    "CHANGELOG.md": "for users",
    "docs/": "for users",
    "benchmarks/README.md": "for users",
    "benchmarks/results/": "what was measured, as it was told then",
    "rocm_images/catalogue/file.py": "catalogues of schema 1 were of one server alone",
}
# owner/repository#number, repository#number, and the address of the repository.
CITATION = r"(?:\b[\w.-]+/)?\b{name}#\d+|https://github\.com/[\w.-]+/{name}\b"


def names() -> set[str]:
    """What the servers are called: by the matrix, in texts, as packages."""
    return {
        name.lower()
        for server in SERVERS.values()
        for name in (server.name, server.title, server.package)
    }


def naming(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a text that name a server, citations aside, with their numbers."""
    name = "|".join(sorted(map(re.escape, names())))
    cited = re.compile(CITATION.replace("{name}", f"(?:{name})"), re.IGNORECASE)
    word = re.compile(rf"(?<![a-z0-9])(?:{name})(?![a-z0-9])", re.IGNORECASE)
    for number, line in enumerate(text.splitlines(), 1):
        if word.search(cited.sub("", line)):
            yield number, line.strip()


def is_exempt(path: str) -> bool:
    """Whether a file may name a server."""
    return any(
        path.startswith(one) if one.endswith("/") else Path("/", path).match(f"/{one}")
        for one in (*SEAM, *EXEMPT)
    )


def tracked() -> dict[str, str]:
    """Every file of the project that is text, by its path."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        text=True,
    )
    found = {}
    for path in filter(None, listed.stdout.split("\0")):
        try:
            found[path] = (PROJECT / path).read_text()
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # an image, or a file that a commit is about to remove
    return found


def outside(files: Mapping[str, str]) -> list[str]:
    """Every place outside the seam that names a server, as `file:line: its text`; 0: its path."""
    return [
        f"{path}:{number}: {line}"
        for path, text in files.items()
        if not is_exempt(path)
        for number, line in (*((0, path) for _ in naming(path)), *naming(text))
    ]


def test_nothing_outside_the_seam_names_a_server() -> None:
    files = tracked()
    assert len(files) > 500
    assert outside(files) == []


def test_each_exemption_is_of_something_that_names_a_server() -> None:
    named = [path for path, text in tracked().items() if any(naming(text))]
    for one in (*SEAM, *EXEMPT):
        assert any(
            path.startswith(one) if one.endswith("/") else Path("/", path).match(f"/{one}")
            for path in named
        ), one


@pytest.mark.parametrize(
    "line",
    [
        "see SGLang's own",
        'if cell.server.name == "vllm":',
        "os.environ['SGLANG_USE_AITER_AR']",
        "VLLM_ROCM_USE_AITER=1",
        "registry.example.org/sglang-rocm",
        "import vllm.envs",
        "(sglang#38258), which SGLang has",
    ],
)
def test_a_place_that_names_one_is_found(line: str) -> None:
    for path in (
        "rocm_images/plan/cells.py",
        "templates/parts/deps.j2",
        "Makefile",
        ".github/a.yml",
    ):
        assert outside({path: f"first\n{line}\n"}) == [f"{path}:2: {line}"]


@pytest.mark.parametrize(
    "line",
    [
        "(sgl-project/sglang#35390, #35806)",
        "sglang#38258 and vllm-project/vllm#46386",
        "https://github.com/sgl-project/sglang/pull/1",
        "an sglangish word, and vllms",
        "this server's own",
    ],
)
def test_citations_and_other_words_are_not(line: str) -> None:
    assert outside({"rocm_images/plan/cells.py": line}) == []


def test_a_file_that_is_called_like_one_is_found() -> None:
    path = "rocm_images/plan/vllm_cells.py"
    assert outside({path: ""}) == [f"{path}:0: {path}"]


def test_what_is_exempt_is_that_alone() -> None:
    line = "SGLang"
    exempt = ["images/sglang-942/Dockerfile", "docs/a/b.md", "templates/servers/a.j2", "tests/a.py"]
    assert [path for path in exempt if not is_exempt(path)] == []
    for path in ("rocm_images/docs/a.md", "images/rootfs/opt/rocm-images/a.py", "a/README.md"):
        assert outside({path: line}) == [f"{path}:1: {line}"]
