"""Who signs and whose signatures count, typed or in variables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from invoked import VERBS, run
from rocm_images.cli.group import Verbs
from rocm_images.cli.main import main
from rocm_images.errors import InputError
from rocm_images.publishing.options import signing_options, trust_options
from rocm_images.registry.place import Who


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sign-key", "{}/ours.pub"), "is a public key, which cannot sign"),
        (("--sign-key", "{}/none"), "--sign-key: cannot read"),
        (("--key", "{}/ours.key"), "is a private key: to sign with it, name it with --sign-key"),
        (("--key", "{}/ours.pub"), "say who signs: --sign-key FILE"),
        (("--sign-key", "{}/ours.key", "--keyless"), "name either --sign-key, or --keyless"),
        (("--sign-key", "{}/ours.key", "--identity", "x"), "leave out --identity"),
    ],
)
def test_who_signs_and_whose_signatures_count_have_a_word_each(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    (tmp_path / "ours.key").write_text("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    (tmp_path / "ours.pub").write_text("-----BEGIN PUBLIC KEY-----\n")
    named = [word.format(tmp_path) for word in words]
    done = run("publish", "--registry", "localhost:9", *named)
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)


PROJECT = Path(__file__).resolve().parents[3]
ALL_SIGNERS = {
    "ROCM_IMAGES_SIGNING_KEY": "variable.key",
    "ROCM_IMAGES_PUBLIC_KEY": "variable.pub",
    "ROCM_IMAGES_IDENTITY": "variable",
    "ROCM_IMAGES_ISSUER": "https://variable",
}


@pytest.mark.parametrize(
    ("words", "who"),
    [
        # Nothing typed: what a CI sets for all of its jobs, as docs/gitlab.md has it.
        ((), Who("variable.key", False, "variable.pub", "variable", "https://variable")),
        (("--sign-key", "a.key"), Who("a.key")),
        (("--sign-key", "a.key", "--key", "a.pub"), Who("a.key", key="a.pub")),
        (("--key", "a.pub"), Who(key="a.pub")),
        (("--identity", "a", "--issuer", "https://a"), Who(identity="a", issuer="https://a")),
        (
            ("--keyless", "--identity", "a", "--issuer", "https://a"),
            Who(keyless=True, identity="a", issuer="https://a"),
        ),
        # These say one thing together, and --keyless has no variable.
        (("--keyless",), Who(keyless=True, identity="variable", issuer="https://variable")),
        (("--identity", "a"), Who(identity="a", issuer="https://variable")),
        (("--issuer", "https://a"), Who(identity="variable", issuer="https://a")),
        # What is typed contradicts itself all the same.
        (
            ("--sign-key", "a.key", "--identity", "a", "--issuer", "https://a"),
            Who("a.key", identity="a", issuer="https://a"),
        ),
    ],
)
def test_who_is_typed_takes_the_place_of_who_is_in_variables(
    words: tuple[str, ...], who: Who
) -> None:
    asked: list[Who] = []

    @click.command("push")
    @signing_options
    def signs(who: Who) -> None:
        asked.append(who)

    @click.command("pull")
    @trust_options
    def trusts(**whom: Any) -> None:
        asked.append(Who(**whom))

    verbs = Verbs(commands={})
    verbs.add_command(signs)
    verbs.add_command(trusts)
    for verb in ("push", "pull"):
        if verb == "pull" and {"--sign-key", "--keyless"} & {*words}:
            continue
        done = CliRunner().invoke(verbs, (verb, *words), env=ALL_SIGNERS)
        assert done.exit_code == 0, done.output
    assert asked[0] == who
    assert asked[1:] in ([], [replace(who, sign_key=None)])


@pytest.mark.parametrize(
    "verb",
    [verb for verb, command in VERBS.items() if any(one.name == "key" for one in command.params)],
)
def test_whose_signatures_count_has_that_rule_in_every_verb(verb: str) -> None:
    inner, files = main.commands[verb].callback, set()
    while inner is not None:
        files.add(Path(inner.__code__.co_filename).relative_to(PROJECT).as_posix())
        inner = getattr(inner, "__wrapped__", None)
    assert "rocm_images/publishing/options.py" in files
