"""Which cosign is spoken with, and how: its version is asked for once, before anything else."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rocm_images.errors import EngineError, ExitCode
from rocm_images.registry import cosign_version
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.trust import Signer, Trust

ADDRESS = RegistryAddress.parse("registry.example.org/team")
IMAGE = "registry.example.org/team/it@sha256:" + "0" * 64
KEY, TRUST = Signer("cosign.key"), Trust(key="cosign.pub")
OFFICIAL = "GitVersion:    {}\nGitCommit:     634fabe54f9fbbab55d821a83ba93b2d25bdba5f\n"
# As Debian builds it: `cosign version`, and what `sign --help` of 2.5.0-2 and of 3.1.1-2 tells.
DEBIANS = OFFICIAL.format("devel")
TWO = ("tlog-upload",), "    --tlog-upload=true:"
THREE = ("tlog-upload", "new-bundle-format", "use-signing-config"), "    --use-signing-config=true:"
SCRIPT = """\
#!/bin/sh
echo "$*" >> "${0%/*}/calls"
case "$*" in
version) printf '%s' "$VERSION"; exit "$STATUS" ;;
*--help)
    for word; do
        case "$word" in
        --help) echo "$HELP" ;;
        --*) word="${word%=*}"; case "$KNOWN " in *" ${word#--} "*) ;; *) exit 1 ;; esac ;;
        esac
    done ;;
esac
"""
Made = Callable[..., Path]


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Puts a stand-in for cosign first on the PATH; returns the file that gets its calls."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def given(version: str, status: int = 0, options: tuple[Sequence[str], str] = ((), "")) -> Path:
        known, told = options
        answers = {
            "VERSION": version,
            "STATUS": str(status),
            "HELP": told,
            "KNOWN": f" {' '.join(known)}",
        }
        for name, value in answers.items():
            monkeypatch.setenv(name, value)
        program = tmp_path / "cosign"
        program.write_text(SCRIPT)
        program.chmod(0o755)
        return tmp_path / "calls"

    return given


SUPPORTED = {
    "2.6 of its makers": (2, OFFICIAL.format("v2.6.1"), ((), "")),
    "2.0": (2, OFFICIAL.format("v2.0.0"), ((), "")),
    "without a v": (2, OFFICIAL.format("2.6.1"), ((), "")),
    "a candidate": (3, OFFICIAL.format("v3.1.0-rc.1"), ((), "")),
    "a distribution's suffix": (3, OFFICIAL.format("v3.0.2+dirty"), ((), "")),
    "3.0 of its makers": (3, OFFICIAL.format("v3.0.1"), ((), "")),
    "JSON": (3, '{\n  "gitVersion": "v3.0.1",\n  "gitCommit": "unknown"\n}\n', ((), "")),
    "Debian 13's": (2, DEBIANS, TWO),
    "2.6 without a number": (2, DEBIANS, (THREE[0], f"{TWO[1]}\n    --use-signing-config=false:")),
    "the next Debian's": (3, DEBIANS, THREE),
    "Go's word for none": (3, OFFICIAL.format("(devel)"), THREE),
    "Go's number for none": (3, OFFICIAL.format("v0.0.0-20251010120000-0123456789ab"), THREE),
}


@pytest.mark.parametrize("name", SUPPORTED)
def test_versions_2_and_3_are_known(name: str, made: Made) -> None:
    major, version, options = SUPPORTED[name]
    made(version, options=options)
    assert Cosign(ADDRESS, os.environ).program.major == major


REFUSED = {
    "the next version": (OFFICIAL.format("v4.0.0"), 0, THREE),
    "a version of two digits": (OFFICIAL.format("v22.1.0"), 0, TWO),
    "an old version": (OFFICIAL.format("v1.13.6"), 0, TWO),
    "a number that is none": (OFFICIAL.format("v3"), 0, THREE),
    "nothing": ("", 0, TWO),
    "nonsense": ("cosign, at your service\n", 0, TWO),
    "an empty version": ("GitVersion:\nGitCommit: v2.6.1\n", 0, TWO),
    "another's version": ("GoVersion: v2.6.1\n", 0, TWO),
    "a failure": (OFFICIAL.format("v2.6.1"), 1, TWO),
    "a failure without a word": ("", 127, TWO),
    "no number, and other options": (DEBIANS, 0, ((), "")),
    "no number, and no log to do without": (DEBIANS, 0, ((), THREE[1])),
    "no number, and a log that has gone": (DEBIANS, 0, (("tlog-upload",), "    --yes=false:")),
    "no number, and half of 3's options": (DEBIANS, 0, (THREE[0][:2], THREE[1])),
}


@pytest.mark.parametrize("name", REFUSED)
def test_another_version_is_refused_with_what_to_do(name: str, made: Made, tmp_path: Path) -> None:
    version, status, options = REFUSED[name]
    made(version, status, options)
    with pytest.raises(EngineError) as refused:
        Cosign(ADDRESS, os.environ)
    assert refused.value.exit_code == ExitCode.ENGINE_UNUSABLE == 3
    sentence = str(refused.value)
    assert sentence.startswith(f"{tmp_path}/cosign ")
    assert "put cosign 2 or 3 first on the PATH (Debian's package cosign" in sentence
    assert "\n" not in sentence


def test_the_version_that_was_found_is_named(made: Made) -> None:
    made(OFFICIAL.format("v4.0.0"))
    with pytest.raises(EngineError, match=r"is version v4\.0\.0, and versions 2 and 3 are supp"):
        Cosign(None, os.environ)


def test_no_cosign_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cosign is missing: put cosign 2 or 3"):
        Cosign(ADDRESS, {"PATH": str(tmp_path)})


def test_a_cosign_that_cannot_be_started_is_refused(made: Made, tmp_path: Path) -> None:
    made("")
    (tmp_path / "cosign").write_text("#!/proc/absent/sh\n")
    with pytest.raises(EngineError, match=r"cosign cannot be started .*: put cosign 2 or 3"):
        Cosign(ADDRESS, os.environ)


def test_a_cosign_that_says_nothing_is_refused(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made("")
    (tmp_path / "cosign").write_text("#!/bin/sh\nexec sleep 600\n")
    monkeypatch.setattr(cosign_version, "SECONDS", 0.2)
    with pytest.raises(EngineError, match=r"cosign version gave no answer within .*: put cosign"):
        Cosign(ADDRESS, os.environ)


def use(cosign: Cosign, folder: Path) -> None:
    """Every call that signs or verifies."""
    cosign.sign(IMAGE, KEY)
    cosign.attest(IMAGE, "kind", {}, KEY)
    cosign.verify(IMAGE, TRUST)
    (folder / "index.json").write_text('{"manifests": []}')
    cosign.verify(IMAGE, TRUST, layout=folder)
    cosign.statements(IMAGE, "kind", TRUST)
    cosign.verify_file(folder / "file", b'{"base64Signature": "AAAA"}', TRUST)


def test_it_is_asked_once(made: Made, tmp_path: Path) -> None:
    calls = made(DEBIANS, options=TWO)
    for address in (ADDRESS, RegistryAddress.parse("http://mirror.example.org"), None):
        use(Cosign(address, dict(os.environ)), tmp_path)
    asked = calls.read_text().splitlines()
    assert asked.count("version") == 1
    assert asked[0] == "version"
    assert len([one for one in asked if one.endswith("--help")]) == 1
    assert len(asked) == 1 + 1 + 3 * 6


def words_of(calls: Path) -> dict[str, set[str]]:
    """By verb, the options for a format that cosign was called with each time."""
    found: dict[str, set[str]] = {}
    for line in calls.read_text().splitlines():
        verb, *words = line.split()
        ours = {word for word in words if "bundle-format" in word or "signing-config" in word}
        assert found.setdefault(verb, ours) == ours
    return found


def test_version_3_is_told_to_keep_to_the_format_of_both(made: Made, tmp_path: Path) -> None:
    calls = made(OFFICIAL.format("v3.0.2"))
    use(Cosign(ADDRESS, os.environ), tmp_path)
    signing = {"--use-signing-config=false", "--new-bundle-format=false"}
    verifying = {"--new-bundle-format=false"}
    assert words_of(calls) == {
        "version": set(),
        "sign": signing,
        "attest": signing,
        "verify": verifying,
        "verify-attestation": verifying,
        "verify-blob": verifying,
    }


def test_version_2_is_told_nothing_that_it_does_not_know(made: Made, tmp_path: Path) -> None:
    calls = made(OFFICIAL.format("v2.5.0"))
    use(Cosign(ADDRESS, os.environ), tmp_path)
    assert set().union(*words_of(calls).values()) == set()


def test_a_ca_of_a_registry_needs_a_cosign_that_can_be_told_of_it(made: Made) -> None:
    made(OFFICIAL.format("v2.4.1"))
    assert Cosign(ADDRESS, os.environ).program.number == (2, 4, 1)
    with pytest.raises(EngineError, match=r"version 2\.4\.1, which knows no CA .*since 2\.4\.2"):
        Cosign(ADDRESS, os.environ, Path("ca.pem"))


@pytest.mark.parametrize("version", ["v2.4.2", "v3.0.1"])
def test_newer_ones_can(version: str, made: Made) -> None:
    made(OFFICIAL.format(version))
    assert Cosign(ADDRESS, os.environ, Path("ca.pem")).program.number
