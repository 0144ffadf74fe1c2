"""What is called by several names means the same in every verb, typed or in a variable."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click
import pytest
from click.testing import CliRunner, Result

from made_up_registry import MadeUpRegistry
from rocm_images.cli.group import GONE, Verbs
from rocm_images.cli.main import main
from rocm_images.errors import InputError, RegistryError, RegistryUnanswered, closest
from rocm_images.lock import file as lock
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.selection import arch_of
from rocm_images.publishing.options import signing_options, trust_options
from rocm_images.registry import retries
from rocm_images.registry.place import Who

PROJECT = Path(__file__).resolve().parents[3]
PLAN = ("plan", "--json")
ALL = [*main.commands.items()]


def run(*words: str, **variables: str) -> Result:
    return CliRunner().invoke(main, words, env=variables)


def cells(*words: str, **variables: str) -> list[str]:
    done = run(*PLAN, *words, **variables)
    assert done.exit_code == 0, done.exception
    return [cell["cell"] for cell in json.loads(done.stdout)]


def options() -> list[tuple[str, click.Option]]:
    return [
        (verb, option)
        for verb, command in ALL
        for option in command.params
        if isinstance(option, click.Option)
    ]


@pytest.mark.parametrize(
    "typed",
    ["942", "gfx942", "GFX942", "mi30x", "mi300x", "MI300X", "MI325X", "AMD Instinct MI300X"],
)
def test_an_arch_is_named_by_its_key_gfx_family_or_gpu(typed: str, project_matrix: Matrix) -> None:
    assert arch_of(typed, project_matrix) == "942"
    named = cells("--base", "7.2.0", "--arch", typed)
    assert named == ["sglang-942-rocm7.2.0"]


@pytest.mark.parametrize("typed", ["", "94", "x", "MI300", "AMD", "Instinct"])
def test_what_names_no_arch_is_refused_as_it_was_typed(typed: str, project_matrix: Matrix) -> None:
    assert arch_of(typed, project_matrix) == typed
    done = run(*PLAN, "--arch", typed)
    assert isinstance(done.exception, InputError)
    assert repr(typed) in str(done.exception)


def test_a_gpu_that_two_archs_have_names_neither(matrix_file: Callable[..., Path]) -> None:
    from rocm_images.plan.load import load

    matrix = load(matrix_file(("[AMD Instinct MI350X]", "[AMD Instinct MI300X]")))
    assert arch_of("MI300X", matrix) == "MI300X"
    assert arch_of("mi35x", matrix) == "950"


def test_a_base_has_two_options_that_are_one_in_every_verb() -> None:
    named = [option for _, option in options() if {"--base", "--rocm"} & {*option.opts}]
    assert len(named) > 8
    assert all({"--base", "--rocm"} <= {*option.opts} for option in named)
    assert cells("--rocm", "7.2.2", "--arch", "950") == cells("--base", "7.2.2", "--arch", "950")


def test_one_option_has_one_variable_in_every_verb_and_the_help_shows_it() -> None:
    variables: dict[str, set[str]] = {}
    for verb, option in options():
        if option.envvar:
            assert option.show_envvar, (verb, option.name)
            variables.setdefault(str(option.envvar), set()).add(option.opts[0])
            assert str(option.envvar) in str(option.get_help_record(click.Context(main)))
    assert {len(names) for names in variables.values()} == {1}
    assert {"ROCM_IMAGES_ARCH", "ROCM_IMAGES_JOBS", "ROCM_IMAGES_SIGNING_KEY"} <= {*variables}


def test_an_option_of_the_same_name_has_its_variable_wherever_it_is() -> None:
    with_variable = {name for _, option in options() if option.envvar for name in option.opts}
    bare = [
        (verb, name)
        for verb, option in options()
        for name in option.opts
        if name in with_variable and not option.envvar
    ]
    assert bare == []


def test_a_variable_stands_for_what_is_not_typed() -> None:
    chosen = cells(ROCM_IMAGES_ARCH="mi35x", ROCM_IMAGES_BASE="7.2.0 7.2.2")
    assert chosen == ["sglang-950-rocm7.2.0", "sglang-950-rocm7.2.2"]
    assert cells("--arch", "942", ROCM_IMAGES_ARCH="950", ROCM_IMAGES_BASE="7.2.0") == [
        "sglang-942-rocm7.2.0"
    ]


@pytest.mark.parametrize(
    ("words", "variables", "typed"),
    [
        (("smoke", "--image", "a:b"), {"ROCM_IMAGES_ARCH": "942"}, ("--arch", "942")),
        (("pick", "--auto"), {"ROCM_IMAGES_ARCH": "942"}, ("--arch", "942")),
        (("build", "--no-cache"), {"ROCM_IMAGES_CACHE": "r.example/c"}, ("--cache", "r.example/c")),
        (
            ("publish", "--from", "none.tar", "--key", "cosign.pub"),
            {"ROCM_IMAGES_COMPRESSION": "gzip", "ROCM_IMAGES_SIGNING_KEY": "cosign.key"},
            ("--compression", "gzip"),
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_contradicts_when_typed_is_of_other_verbs_in_a_variable(
    words: tuple[str, ...],
    variables: dict[str, str],
    typed: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    refused = str(run(*words, *typed).exception)
    assert typed[0] in refused
    assert str(run(*words, **variables).exception) != refused


def test_the_names_that_begin_so_are_told_before_one_that_looks_alike() -> None:
    known = ["7.2.0", "7.2.2", "7.2.4", "10.0.0"]
    assert closest("7.2", known) == "did you mean '7.2.0', '7.2.2' or '7.2.4'?"
    assert closest("10", known) == "did you mean '10.0.0'?"
    assert closest("7.2.3", known).startswith("did you mean '7.2.")
    assert closest("x", known) == "known: 10.0.0, 7.2.0, 7.2.2, 7.2.4"


def test_what_took_the_place_of_a_verb_that_is_gone_is_a_verb() -> None:
    assert not GONE.keys() & main.commands.keys()
    assert set(GONE.values()) <= main.commands.keys()


def test_explain_without_a_cell_says_which_there_are() -> None:
    said = str(run("explain").exception)
    assert "sglang-942-rocm7.2.0" in said
    assert "vllm-950-rocm10.0.0" in said


def test_explain_takes_a_cell_by_any_name_of_its_arch_or_by_its_parts() -> None:
    whole = run("explain", "sglang-942-rocm7.2.0").stdout
    assert whole.startswith("sglang-942-rocm7.2.0: ")
    assert run("explain", "sglang-mi300x-rocm7.2.0").stdout == whole
    assert run("explain", "--arch", "MI300X", "--base", "7.2.0").stdout == whole
    said = str(run("explain", "--arch", "MI300X").exception)
    assert said.endswith(
        ": sglang-942-rocm7.2.0, sglang-942-rocm7.2.2, sglang-942-rocm7.2.4, sglang-942-rocm10.0.0"
    )
    both = str(run("explain", "sglang-942-rocm7.2.0", "--arch", "950").exception)
    assert both == "--arch: CELL names one cell already: leave out either"


def test_a_build_argument_that_nothing_uses_is_refused_before_an_engine_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert "'FOO' is used by no stage" in str(run("--build-arg", "FOO=1").exception)
    assert "FOO" not in str(run("--build-arg", "MAX_JOBS=1").exception)


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
    "verb", [verb for verb, command in ALL if any(one.name == "key" for one in command.params)]
)
def test_whose_signatures_count_has_that_rule_in_every_verb(verb: str) -> None:
    inner, files = main.commands[verb].callback, set()
    while inner is not None:
        files.add(Path(inner.__code__.co_filename).relative_to(PROJECT).as_posix())
        inner = getattr(inner, "__wrapped__", None)
    assert "rocm_images/publishing/options.py" in files


@pytest.mark.parametrize("word", ["--no-cache", "--pull"])
def test_what_is_asked_for_anew_is_built_though_it_is_there(
    word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rocm_images.build import run as building
    from rocm_images.build.run import BuildCommand

    asked: list[BuildCommand] = []
    monkeypatch.setattr(building, "build_and_test", lambda *given: asked.append(given[-1]) or 0)
    run(word)
    run()
    assert [(one.force, one.no_cache, one.pull) for one in asked] == [
        (True, word == "--no-cache", word == "--pull"),
        (False, False, False),
    ]


def test_every_verb_that_asks_the_registry_takes_how_often() -> None:
    verbs: dict[str, set[str]] = {}
    for verb, option in options():
        verbs.setdefault(verb, set()).update(option.opts)
    asking = {verb for verb, names in verbs.items() if "--registry" in names}
    assert {"plan", "build", "publish"} <= asking
    assert {verb for verb in asking if "--attempts" not in verbs[verb]} == set()


def test_build_asks_a_registry_as_often_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from rocm_images.build import run as building
    from rocm_images.build.run import BuildCommand

    asked: list[BuildCommand] = []
    monkeypatch.setattr(building, "build_and_test", lambda *given: asked.append(given[-1]) or 0)
    run("--attempts", "3")
    run(ROCM_IMAGES_ATTEMPTS="2")
    run()
    assert [one.attempts for one in asked] == [3, 2, 6]


@pytest.fixture
def failing() -> Iterator[MadeUpRegistry]:
    made = MadeUpRegistry()
    made.answers = lambda request: request.answer(b"", 503)
    yield made
    made.close()


ONE = ("--arch", "942", "--base", "7.2.0")
OPTION = "--registry (or ROCM_IMAGES_REGISTRY)"


@pytest.mark.parametrize("variables", [{}, {"ROCM_IMAGES_ATTEMPTS": "2"}])
def test_plan_asks_a_registry_that_fails_as_often_as_it_is_told(
    failing: MadeUpRegistry, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "sleep", lambda seconds: None)
    words = () if variables else ("--attempts", "2")
    done = run("plan", *ONE, "--registry", failing.address, *words, **variables)
    assert isinstance(done.exception, RegistryError)
    assert len(failing.asked) == 2


@pytest.mark.parametrize(
    "address", ["registry.invalid/team", "127.0.0.1:9", "failing"], ids=lambda one: one[:8]
)
def test_of_a_registry_that_does_not_answer_it_is_said_where_it_is_named(
    failing: MadeUpRegistry, address: str
) -> None:
    where = failing.address if address == "failing" else address
    done = run("plan", *ONE, "--registry", where, "--attempts", "1")
    assert isinstance(done.exception, RegistryError)
    assert done.exception.exit_code == 9
    said = str(done.exception)
    assert said.endswith(f": look at {OPTION}, or run again when it answers")
    assert len(said) < 400


def test_of_a_registry_that_answers_it_is_not(failing: MadeUpRegistry) -> None:
    failing.answers = lambda request: request.answer(b"", 400)
    done = run("plan", *ONE, "--registry", failing.address)
    assert isinstance(done.exception, RegistryError)
    assert "it answered 400" in str(done.exception)
    assert "look at" not in str(done.exception)


@pytest.mark.parametrize(
    ("verb", "named"),
    [
        ("publish", OPTION),
        ("mirror", f"{OPTION} and --to"),
        ("rollback", OPTION),
        ("prune", OPTION),
        ("ci-matrix", "--missing-from"),
        ("pull", "its name"),
    ],
)
def test_each_verb_names_what_names_its_registry(
    verb: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unanswered(*_: object) -> NoReturn:
        raise RegistryUnanswered("r: cannot read it (no answer)")

    monkeypatch.setattr(main.commands[verb], "invoke", unanswered)
    monkeypatch.setattr(main.commands[verb], "parse_args", lambda context, words: [])
    said = str(run(verb).exception)
    assert said == f"r: cannot read it (no answer): look at {named}, or run again when it answers"


def test_a_base_that_is_made_here_is_not_pulled() -> None:
    assert "--pull: the bases of a rehearsal" in str(run("--pull", "--rehearse").exception)


def test_a_base_that_the_lock_holds_is_said_to_stay_as_it_was(
    matrix_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = matrix_file()
    held = lock.EMPTY.model_copy(update={"bases": {"rocm/pytorch:rocm7.2": f"sha256:{'a' * 64}"}})
    lock.write(lock.path_of(path), held, path.name)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    done = run("--pull", "--matrix", str(path))
    assert "lock --update 7.2.0" in done.stderr
    assert "7.2.2" not in done.stderr
