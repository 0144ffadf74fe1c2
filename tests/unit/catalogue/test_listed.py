"""A catalogue that is named is verified before a page is made of it, and before it lies here."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from made_up_catalogue import catalogue
from made_up_programs import COSIGN_VERSION
from rocm_images.catalogue import listed, verbs
from rocm_images.catalogue.file import write
from rocm_images.cli.main import main
from rocm_images.errors import InputError, VerificationFailed
from rocm_images.matrix.schema import Matrix

SIGNED = json.dumps({"base64Signature": base64.b64encode(b"ours").decode()})
FORGED = json.dumps({"base64Signature": base64.b64encode(b"forged").decode()})
# Takes the signature "ours" alone.
COSIGN = (
    f"""\
#!/bin/sh
{COSIGN_VERSION}
"""
    + """\
for word; do case "$word" in --signature=*) test "$(base64 -d "${word#*=}")" = ours && exit 0;; esac
done
echo "error during command execution: invalid signature when validating ASN.1" >&2
exit 1
"""
)


class Folders:
    """The folder of this project's state, and a file of somebody."""

    def __init__(self, path: Path, matrix: Matrix) -> None:
        self.state, self.other, self.site = path / "build", path / "other", path / "site"
        self.named = self.other / "catalogue.json"
        for folder in (self.state, self.other):
            folder.mkdir()
        write(self.named, catalogue(matrix))
        self.key = path / "cosign.pub"
        self.key.write_text("a public key")
        self.programs = path / "programs"
        self.programs.mkdir()
        (self.programs / "cosign").write_text(COSIGN)
        (self.programs / "cosign").chmod(0o755)

    def run(self, *words: object) -> Result:
        given = ["catalogue", *map(str, words)]
        return CliRunner().invoke(main, given, standalone_mode=False)

    def sign(self, signature: str) -> None:
        self.named.with_name("catalogue.sig.json").write_text(signature)

    def state_has(self) -> set[str]:
        return {path.name for path in self.state.iterdir()}


@pytest.fixture
def folders(tmp_path: Path, project_matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> Folders:
    made = Folders(tmp_path, project_matrix)
    for module in (listed, verbs):
        monkeypatch.setattr(module, "CATALOGUE", made.state / "catalogue.json")
    monkeypatch.setenv("PATH", f"{made.programs}:{os.environ['PATH']}")
    monkeypatch.delenv("ROCM_IMAGES_PUBLIC_KEY", raising=False)
    return made


def test_a_file_that_is_named_is_not_taken_at_its_word(folders: Folders) -> None:
    for output in (folders.state, folders.site, folders.other):
        done = folders.run("--from", folders.named, "--output", output)
        assert isinstance(done.exception, InputError)
        assert "say whose catalogue counts" in str(done.exception)
    assert folders.state_has() == set()
    assert not folders.site.exists()
    assert not (folders.other / "catalogue.html").exists()


@pytest.mark.parametrize("signature", [FORGED, "{}", ""])
def test_a_file_that_another_signed_gets_no_page(folders: Folders, signature: str) -> None:
    folders.sign(signature)
    done = folders.run("--from", folders.named, "--output", folders.state, "--key", folders.key)
    assert isinstance(done.exception, VerificationFailed)
    assert folders.state_has() == set()


def test_a_file_that_its_publisher_signed_is_taken_here(folders: Folders) -> None:
    folders.sign(SIGNED)
    done = folders.run("--from", folders.named, "--output", folders.state, "--key", folders.key)
    assert done.exception is None
    assert folders.state_has() == {"catalogue.json", "catalogue.sig.json", "catalogue.html"}
    assert (folders.state / "catalogue.json").read_bytes() == folders.named.read_bytes()


def test_what_nobody_verified_never_lies_where_pick_looks(folders: Folders, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folders.state)
    foreign = folders.state / "foreign.json"
    for words in (
        ("--from", folders.named, "--output", folders.state),
        ("--from", folders.named, "--output", link),
        ("--from", folders.named, "--output", folders.state / ".." / "build"),
    ):
        done = folders.run(*words, "--unverified")
        assert isinstance(done.exception, InputError)
        assert "name another folder" in str(done.exception)
        assert folders.state_has() == set()
    foreign.write_bytes(folders.named.read_bytes())
    assert isinstance(folders.run("--from", foreign, "--unverified").exception, InputError)
    assert folders.state_has() == {"foreign.json"}
    done = folders.run("--from", folders.named, "--output", folders.site, "--unverified")
    assert done.exception is None
    assert (folders.site / "catalogue.html").exists()


def test_the_file_of_this_folder_was_verified_when_it_was_written(
    folders: Folders, project_matrix: Matrix
) -> None:
    write(folders.state / "catalogue.json", catalogue(project_matrix))
    done = folders.run("--from", folders.state / "catalogue.json", "--output", folders.site)
    assert done.exception is None
    assert {path.name for path in folders.site.iterdir()} == {"catalogue.json", "catalogue.html"}


def test_a_page_elsewhere_has_the_list_that_it_shows_and_no_signature_of_another(
    folders: Folders,
) -> None:
    folders.sign(SIGNED)
    named = folders.named.rename(folders.other / "list.json")
    words = ("--output", folders.site, "--key", folders.key)
    assert folders.run("--from", named, *words).exception is None
    there = {path.name for path in folders.site.iterdir()}
    assert there == {"catalogue.json", "catalogue.sig.json", "catalogue.html"}
    assert (folders.site / "catalogue.json").read_bytes() == named.read_bytes()
    (folders.other / "catalogue.sig.json").unlink()
    done = folders.run("--from", named, "--output", folders.site, "--unverified")
    assert done.exception is None
    assert not (folders.site / "catalogue.sig.json").exists()


def test_a_list_without_its_signature_is_told_from_one_that_cannot_be_read(
    folders: Folders,
) -> None:
    done = folders.run("--from", folders.named, "--output", folders.site, "--key", folders.key)
    assert isinstance(done.exception, InputError)
    assert "has no signature beside it: take catalogue.sig.json" in str(done.exception)


@pytest.mark.parametrize("more", ["none", "named", "named and trusted"])
@pytest.mark.parametrize(
    "verb",
    [
        "pick --auto",
        "pick --arch 942",
        "run-args v1",
        "deploy v1 --as docker --model m",
        "catalogue",
    ],
)
def test_where_there_is_no_catalogue_it_is_said_how_to_fetch_one(
    folders: Folders, verb: str, more: str
) -> None:
    option = "--from" if verb == "catalogue" else "--catalogue"
    path = folders.state / "catalogue.json" if more == "none" else folders.other / "absent.json"
    # The default of --from is that of this checkout.
    named = more != "none" or verb == "catalogue"
    words = [*verb.split(), *([option, str(path)] if named else [])]
    words += ["--key", str(folders.key)] if "trusted" in more else []
    done = CliRunner().invoke(main, words, standalone_mode=False)
    assert isinstance(done.exception, InputError)
    said = str(done.exception)
    assert said.startswith(f"{path}: cannot read the catalogue (No such file or directory): ")
    command = said.partition("`python build.py ")[2].partition("`")[0]
    assert command == "catalogue --registry ADDRESS --key cosign.pub"
    # It is one that there is.
    words = command.replace("ADDRESS", "registry.example.org").split()
    fetched = CliRunner().invoke(main, words, standalone_mode=False)
    assert "--key: cannot read cosign.pub" in str(fetched.exception)


PICKED = pytest.mark.parametrize(
    "verb",
    ["pick --arch 942", "run-args TAG", "run-args DIGEST", "deploy TAG --as docker --model m"],
)


def picked(folders: Folders, matrix: Matrix, verb: str, *words: object) -> Result:
    """A verb about an image of the list of this folder, by its tag or as a whole reference."""
    known = catalogue(matrix)
    write(folders.state / "catalogue.json", known)
    (image, *_) = (one for one in known.images if one.gfx == "gfx942")
    names = {"TAG": image.immutable_tag, "DIGEST": image.reference}
    given = [*(names.get(word, word) for word in verb.split()), *map(str, words)]
    return CliRunner().invoke(main, given, standalone_mode=False)


@PICKED
def test_who_is_typed_verifies_the_list_of_this_folder(
    folders: Folders, project_matrix: Matrix, verb: str
) -> None:
    words = ("--key", folders.key)
    done = picked(folders, project_matrix, verb, *words)
    assert isinstance(done.exception, InputError)
    assert "has no catalogue.sig.json beside it" in str(done.exception)
    beside = folders.state / "catalogue.sig.json"
    beside.write_text(FORGED)
    done = picked(folders, project_matrix, verb, *words)
    assert isinstance(done.exception, VerificationFailed)
    assert not done.stdout
    beside.write_text(SIGNED)
    done = picked(folders, project_matrix, verb, *words)
    assert done.exception is None
    assert "@sha256:" in done.stdout


@PICKED
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--key", "absent.pub"), "--key: cannot read absent.pub"),
        (("--identity", "somebody"), "say whose signatures to trust"),
        (("--issuer", "https://issuer.example.org"), "say whose signatures to trust"),
        (("--key", "absent.pub", "--unverified"), "--key verifies and --unverified does not"),
    ],
)
def test_who_is_typed_wrongly_is_refused(
    folders: Folders, project_matrix: Matrix, verb: str, words: tuple[str, ...], said: str
) -> None:
    (folders.state / "catalogue.sig.json").write_text(SIGNED)
    done = picked(folders, project_matrix, verb, *words)
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)
    assert not done.stdout


@PICKED
def test_what_a_variable_says_of_it_is_for_files_that_are_named(
    folders: Folders, project_matrix: Matrix, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROCM_IMAGES_PUBLIC_KEY", "absent.pub")
    done = picked(folders, project_matrix, verb)
    assert done.exception is None
    assert "@sha256:" in done.stdout


def test_of_a_reference_that_no_signed_list_has_nothing_is_said_to_be_verified(
    folders: Folders, project_matrix: Matrix
) -> None:
    (folders.state / "catalogue.sig.json").write_text(SIGNED)
    words = ("--key", folders.key)
    image = "registry.example.org/sglang-rocm@sha256:" + "ab" * 32
    done = picked(folders, project_matrix, f"run-args {image}", *words)
    assert isinstance(done.exception, InputError)
    assert f"no signed catalogue here vouches for {image}" in str(done.exception)
    assert picked(folders, project_matrix, f"run-args {image}").exception is None


def test_a_chart_without_a_folder_is_refused_before_anything_is_said_of_the_image(
    folders: Folders, project_matrix: Matrix
) -> None:
    words = "deploy TAG --as helm --model m"
    done = picked(folders, project_matrix, words)
    assert isinstance(done.exception, InputError)
    assert "say in which folder, --output FOLDER" in str(done.exception)
    assert done.stderr == ""
    done = picked(folders, project_matrix, words, "--output", folders.site)
    assert done.exception is None
    assert "note: " in done.stderr
