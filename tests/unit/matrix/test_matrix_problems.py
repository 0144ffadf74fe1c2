"""Every mistake in a matrix is reported where it stands, in a sentence, with exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rocm_images.errors import ExitCode, InputError, MatrixError
from rocm_images.plan.load import load

MatrixFile = Callable[..., Path]

# (what is replaced, by what, line, column, part of the sentence)
ONE_MISTAKE = {
    "an unknown key": ("    recommended: true", "    recomended: true", 22, 5, "'recommended'"),
    "an unknown key at the top": ("archs:", "arches: {}\narchs:", 4, 1, "did you mean 'archs'"),
    "an unknown key deep inside": ("    symptom:", "    sympton:", 58, 5, "'symptom'"),
    "a key that stands twice": ("    gfx: gfx942", "    gfx: gfx942\n    gfx: x", 7, 5, "twice"),
    "a mapping where a text is due": ("family: mi30x", "family: {a: b}", 7, 13, "must be a text"),
    "a text where a list is due": ("[AMD Instinct MI300X]", "MI300X", 8, 11, "must be a list"),
    "a text where a mapping is due": ("bases:\n", "bases: x\nbasis:\n", 13, 8, "must be a mapping"),
    "neither true nor false": ("recommended: true", "recommended: maybe", 22, 18, "true or false"),
    "a value that is missing": ("family: mi30x", "family:", 7, 12, "must be a text"),
    "a source that the recipe needs": ("      aiter:", "      other:", 27, 5, "'aiter', which its"),
    "no toolchain": ("        toolchain: 1.90.0\n", "", 40, 7, "the toolchain, which its recipe"),
    "no installer": ("      rustup:", "      other:", 24, 3, "the download 'rustup'"),
    "no extra": ("    extra:\n      name: srt_hip\n      why: a reason\n", "", 24, 3, "the extra,"),
    "a download with a source's name": (
        "    downloads:\n",
        "    downloads:\n      aiter: {url: https://a.org/b, sha256: "
        + "a" * 64
        + ", version: 1.0, why: it is}\n",
        40,
        7,
        "both would be the stage aiter-src",
    ),
    "an SDK without a torch": (
        '    python: "3.10"\n    torch: 2.9.1\n  7.2.2:',
        '    python: "3.10"\n    torch: 2.9.1\n'
        "    sdk: {index: https://a.org, packages: {rocm: 7.2.0}, why: it is}\n  7.2.2:",
        18,
        43,
        "torch is missing here",
    ),
    "a key that is missing": ("    family: mi30x\n", "", 6, 5, "'family' is missing"),
    "a base that is no version": ("  7.2.0:", "  seven:", 14, 3, "not a version"),
    "a base that is no release": ("  7.2.0:", "  7.2.0rc1:", 14, 3, "not a release"),
    "a package version that is none": ("version: 0.1.19", "version: new", 36, 18, "not a version"),
    "a range that is none": ('"<7.2.1"', '"below 7.2.1"', 57, 13, "not a version range"),
    "an empty range": ('"<7.2.1"', '""', 57, 13, "not a version range"),
    "a date that is none": ("date: 2026-11-24", "date: 2026-02-30", 64, 7, "not a date"),
    "a date that no archive knows": ("date: 2026-11-24", "date: 1979-12-31", 64, 7, "not a date"),
    "a commit with a space": ("ref: v0.5.21", "ref: v0 5", 30, 14, "not a git tag"),
    "a digest that is too short": ("20a06e", "20", 42, 17, "not a SHA-256"),
    "an image that is no reference": ("rocm/pytorch:rocm7.2\n", "Rocm:x y\n", 15, 12, "reference"),
    "an image without a tag": ("rocm/pytorch:rocm7.2\n", "rocm/pytorch\n", 15, 12, "neither tag"),
    "an image at latest": ("rocm7.2\n", "latest\n", 15, 12, "moving target"),
    "a repository with a tag": ("repository: sglang-rocm", "repository: a:b", 25, 17, "image name"),
    "an address that is not https": ("https://example.org/images", "http://x", 2, 11, "https"),
    "a reference that is none": ("[sgl-project/sglang#23581]", "[somewhere]", 63, 18, "reference"),
    "no reference": ("[sgl-project/sglang#23581]", "[]", 63, 17, "'references' is empty"),
    "a lower-case variable": ("  SGLANG_USE_AITER_AR:\n", "  sglang:\n", 50, 7, "not a name"),
    "a variable of the build": ("  SGLANG_USE_AITER_AR:\n", "  GPU_ARCHS:\n", 50, 7, "GPU_ARCHS"),
    "an unknown arch in an advisory": (
        'rocm: "<7.2.1"',
        'rocm: "<7.2.1"\n      archs: [943]',
        58,
        15,
        "unknown arch '943': known: 942 (MI300X), 950 (MI350X)",
    ),
    "an unknown server in an advisory": (
        'rocm: "<7.2.1"',
        'rocm: "<7.2.1"\n      releases: {vlm: ">=0.25"}',
        58,
        18,
        "unknown inference server 'vlm': did you mean 'vllm'",
    ),
    "two channels that move the same tags": (
        "advisories:\n",
        "channels:\n  a: {evidence: gpu, why: w}\n  b: {evidence: static, why: w}\nadvisories:\n",
        55,
        3,
        "b and a would move the same tags",
    ),
    "a channel of no level": (
        "advisories:\n",
        "channels:\n  a: {evidence: stand-in, why: w}\nadvisories:\n",
        54,
        17,
        "'static', 'emulated', 'gpu' or 'serve'",
    ),
    "a budget of no unit": (
        "advisories:\n",
        "channels:\n  a: {evidence: gpu, budget: {delta: 2000}, why: w}\nadvisories:\n",
        54,
        38,
        "'2000' is not a size: write one like 500 MB or 1.5 GB",
    ),
    "a budget below nothing": (
        "advisories:\n",
        "channels:\n  a: {evidence: gpu, budget: {delta: -2 GB}, why: w}\nadvisories:\n",
        54,
        38,
        "'-2 GB' is not a size",
    ),
    "a budget of nothing": (
        "advisories:\n",
        "channels:\n  a: {evidence: gpu, budget: {}, why: w}\nadvisories:\n",
        54,
        30,
        "give compressed, delta, or both",
    ),
    "a scanner that is not given the SBOM": (
        "advisories:\n",
        "channels:\n  a: {evidence: gpu, why: w, scan: {command: [grype], at_most: low}}\n"
        "advisories:\n",
        54,
        36,
        "command has no {sbom}",
    ),
    "a scanner without a bound": (
        "advisories:\n",
        "channels:\n  a: {evidence: gpu, why: w, scan: {command: ['{sbom}']}}\nadvisories:\n",
        54,
        36,
        "'at_most' is missing",
    ),
    "a scanner that is given what signs": (
        "advisories:\n",
        "channels:\n  a:\n    evidence: gpu\n    why: w\n    scan:\n      command: ['{sbom}']\n"
        "      at_most: low\n      environment: [TRIVY_CACHE_DIR, COSIGN_PASSWORD]\nadvisories:\n",
        60,
        38,
        "COSIGN_PASSWORD is for who signs",
    ),
    "a scanner's variable of no name": (
        "advisories:\n",
        "channels:\n  a:\n    evidence: gpu\n    why: w\n    scan:\n      command: ['{sbom}']\n"
        "      at_most: low\n      environment: ['A=b']\nadvisories:\n",
        60,
        21,
        "is not a name for an environment variable",
    ),
    "an allowance without an end": (
        "advisories:\n",
        "channels:\n  a:\n    evidence: gpu\n    why: w\n    scan:\n      command: ['{sbom}']\n"
        "      at_most: low\n      allow: [{id: CVE-2099-1, why: w}]\nadvisories:\n",
        60,
        15,
        "'until' is missing",
    ),
    "an allowance without a reason": (
        "advisories:\n",
        "channels:\n  a:\n    evidence: gpu\n    why: w\n    scan:\n      command: ['{sbom}']\n"
        "      at_most: low\n      allow: [{id: CVE-2099-1, until: 2099-01-01}]\nadvisories:\n",
        60,
        15,
        "'why' is missing",
    ),
    "an allowance of no vulnerability": (
        "advisories:\n",
        "channels:\n  a:\n    evidence: gpu\n    why: w\n    scan:\n      command: ['{sbom}']\n"
        "      at_most: low\n      allow: [{id: all, why: w, until: 2099-01-01}]\nadvisories:\n",
        60,
        20,
        "is not the id of a vulnerability",
    ),
    "two allowances of one vulnerability": (
        "advisories:\n",
        "channels:\n  a:\n    evidence: gpu\n    why: w\n    scan:\n      command: ['{sbom}']\n"
        "      at_most: low\n      allow:\n        - {id: CVE-2099-1, why: w, until: 2099-01-01}\n"
        "        - {id: CVE-2099-1, why: v, until: 2099-01-02}\nadvisories:\n",
        58,
        7,
        "allow has CVE-2099-1 twice",
    ),
    "an end of support without a reason": (
        "recommended: true",
        "supported_until: 2099-01-01",
        19,
        5,
        "give supported_until and supported_why, or neither",
    ),
    "no arch": ("archs:\n", "archs: {}\nexclude:\n", 4, 8, "empty"),
    "an exclude of nothing": (
        "advisories:\n",
        "exclude:\n  - {arch: 942, base: 7.2.1, why: x}\nadvisories:\n",
        54,
        17,
        "excludes nothing: unknown base '7.2.1'",
    ),
    "an exclude of no cell": (
        "advisories:\n",
        "exclude: [{why: x}]\nadvisories:\n",
        53,
        11,
        "excludes nothing",
    ),
    "an exclude of what is excluded": (
        "advisories:\n",
        "exclude:\n  - {arch: 942, why: x}\n  - {arch: 942, base: 7.2.0, why: x}\nadvisories:\n",
        55,
        5,
        "earlier entries",
    ),
    "an exclude of everything": (
        "advisories:\n",
        "exclude: [{arch: 942, why: x}, {arch: 950, why: x}]\nadvisories:\n",
        53,
        1,
        "nothing is left",
    ),
    "the same base twice": ("  7.2.2:", "  7.2.0.0:", 18, 3, "same version"),
    "two recommended bases": (
        "rocm/pytorch:rocm7.2\n",
        "rocm/pytorch:rocm7.2\n    recommended: true\n",
        23,
        5,
        "both recommended",
    ),
    "a HIP that ends before it begins": (
        "servers:\n",
        "hip_builds:\n  7.2.100: {first: 7.2.1, last: 7.2.0, why: w}\nservers:\n",
        24,
        13,
        "a range of releases of ROCm 7.2",
    ),
    "a HIP of another minor release": (
        "servers:\n",
        "hip_builds:\n  7.2.100: {first: 7.2.1, last: 7.3.0, why: w}\nservers:\n",
        24,
        13,
        "a range of releases of ROCm 7.2",
    ),
    "two HIPs of one release": (
        "servers:\n",
        "hip_builds:\n  7.2.200: {first: 7.2.1, last: 7.2.3, why: w}\n"
        "  7.2.100: {first: 7.2.0, last: 7.2.1, why: w}\nservers:\n",
        24,
        13,
        "7.2.100 has ROCm 7.2.1 already",
    ),
    "two archs with one tag": ("family: mi35x", "family: mi30x", 9, 3, "both be tagged"),
    "an advisory that stands twice": (
        "advisories:\n",
        "advisories:\n  - {id: hip-event-query, component: c, affected: {}, symptom: s, why: w,"
        " references: [a/b#1]}\n",
        55,
        5,
        "stands here twice",
    ),
    "advisories that disagree": (
        "advisories:\n",
        "advisories:\n  - id: other\n    component: c\n    affected: {rocm: '<8'}\n    symptom: s\n"
        "    set: {SGLANG_USE_AITER_AR: 1}\n    why: w\n    references: [a/b#1]\n",
        67,
        7,
        "set SGLANG_USE_AITER_AR to '1' and '0'",
    ),
    "a tag that would run code": ("value: 1", "value: !!python/name:os.x 1", 51, 16, "YAML tag"),
    "a tag on a key": ("family: mi30x", "!!binary family: mi30x", 7, 5, "tag"),
    "an alias that is not defined": ("gfx942", "*nothing", 6, 10, "nothing"),
    "a second document": ("advisories:\n", "---\nadvisories:\n", 53, 1, "second YAML document"),
    "a bracket that is not closed": ("[AMD Instinct MI300X]", "[AMD", 9, 6, "not valid YAML"),
    "a character that YAML forbids": ("title: SGLang", "title: \x00SGLang", 26, 12, "U+0000"),
    "values nested too deep": ("value: 1", "value: " + "[" * 40 + "]" * 40, 51, 44, "nested"),
}


@pytest.mark.parametrize("mistake", ONE_MISTAKE.values(), ids=ONE_MISTAKE)
def test_a_mistake_is_reported_where_it_stands(
    matrix_file: MatrixFile, mistake: tuple[str, str, int, int, str]
) -> None:
    old, new, line, column, sentence = mistake
    path = matrix_file((old, new))
    with pytest.raises(MatrixError) as caught:
        load(path)
    problems = {(p.line, p.column): p.sentence for p in caught.value.problems}
    assert (line, column) in problems, str(caught.value)
    assert sentence in problems[line, column]
    assert f"{path}:{line}:{column}: " in str(caught.value)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    "value",
    ['"a\\nb"', '"a\\"b"', "a'b", "a$b", "a\\b", "a`b", '"a\\0b"', '"a\\tb"', '"a\\u2028b"'],
)
@pytest.mark.parametrize("place", ["value: 1", "SGLANG_USE_AITER_AR: 0"])
def test_no_value_can_break_out_of_env(matrix_file: MatrixFile, place: str, value: str) -> None:
    name = place.split(":")[0]
    with pytest.raises(MatrixError) as caught:
        load(matrix_file((place, f"{name}: {value}")))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("text", ['"why\\0"', '"\\e[2J"', '"\\u202e"'])
def test_no_text_can_break_out_of_a_comment(matrix_file: MatrixFile, text: str) -> None:
    with pytest.raises(MatrixError):
        load(matrix_file(("why: a reason", f"why: {text}")))


def test_several_problems_are_reported_together(matrix_file: MatrixFile) -> None:
    path = matrix_file(("gfx: gfx942", "gfx: rtx"), ("value: 1", "value: a$b"), ("0.1.19", "new"))
    with pytest.raises(MatrixError) as caught:
        load(path)
    assert [problem.line for problem in caught.value.problems] == [6, 36, 51]


def test_an_alias_that_expands_without_bound_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        members = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{members}]")
    path = tmp_path / "matrix.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(MatrixError, match="expands to more than"):
        load(path)


def test_a_file_that_is_not_utf8_is_refused_at_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_bytes(b"image:\n  title: caf\xe9\n")
    with pytest.raises(MatrixError, match=r":2:13: byte 0xe9 is not UTF-8"):
        load(path)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "just a text", "- a list"])
def test_a_file_without_a_matrix_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_text(text)
    with pytest.raises(MatrixError):
        load(path)


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load(tmp_path / "absent.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="directory"):
        load(tmp_path)


def test_a_scalar_stays_the_text_that_was_written(matrix_file: MatrixFile) -> None:
    matrix = load(matrix_file(("value: 1", "value: 1.10"), ("mi30x", "no"), ("7.2.0:", "7.20:")))
    assert matrix.servers["sglang"].env["SGLANG_USE_AITER_AR"][0].value == "1.10"
    assert matrix.archs["942"].family == "no"
    assert "7.20" in matrix.bases


def test_an_alias_stands_for_what_it_names(matrix_file: MatrixFile) -> None:
    matrix = load(
        matrix_file(("[AMD Instinct MI300X]", "&gpus [A, B]"), ("[AMD Instinct MI350X]", "*gpus"))
    )
    assert matrix.archs["950"].gpus == ("A", "B")


def test_a_range_that_matches_no_base_is_knowledge_for_later(matrix_file: MatrixFile) -> None:
    matrix = load(matrix_file(("<7.2.1", "<6.0")))
    assert matrix.advisories[0].affected.rocm == "<6.0"


@pytest.mark.parametrize("keys", ["".join(f"key{n}: x\n" for n in range(500)), "date: x\n" * 500])
def test_a_file_of_another_kind_is_told_of_in_a_hundred_lines(
    matrix_file: MatrixFile, keys: str
) -> None:
    with pytest.raises(MatrixError) as raised:
        load(matrix_file(("date: 2026-11-24", f"date: 2026-11-24\n{keys}")))
    lines = str(raised.value).splitlines()
    assert 100 <= len(lines) <= 101


def test_more_cells_than_anyone_builds_are_refused_before_they_are_made(
    matrix_file: MatrixFile,
) -> None:
    archs = "".join(
        f"  {n:x}: {{gfx: gfx{n:x}, family: f{n:x}, gpus: [a GPU]}}\n" for n in range(4096, 5200)
    )
    bases = "".join(
        f'  8.0.{n}: {{image: "rocm/pytorch:{n}", python: "3.10", torch: 2.9.1}}\n'
        for n in range(10)
    )
    with pytest.raises(MatrixError, match="makes 13272 cells, more than 10000: keep a matrix for"):
        load(matrix_file(("archs:\n", f"archs:\n{archs}"), ("bases:\n", f"bases:\n{bases}")))
