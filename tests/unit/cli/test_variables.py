"""A variable is for many verbs: it says nothing where it cannot, and an error of it names it."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click
import pytest
from click.testing import CliRunner, Result

from rocm_images.cli.main import main
from rocm_images.cli.variables import CHOOSING, OF_OPTIONS, TYPED, variable_of
from rocm_images.errors import InputError
from rocm_images.registry import place

PROJECT = Path(__file__).resolve().parents[3]
MAKER = runpy.run_path(str(PROJECT / "docs" / "variables.py"))
PAGE = (PROJECT / "docs" / "variables.md").read_text()
VERBS = {
    **{name: verb for name, verb in main.commands.items() if not isinstance(verb, click.Group)},
    "evidence verify": main.commands["evidence"].commands["verify"],  # type: ignore[attr-defined]
}


def run(*words: str, **variables: str) -> Result:
    return CliRunner().invoke(main, words, env=variables)


def refused(*words: str, **variables: str) -> str:
    done = run(*words, **variables)
    assert isinstance(done.exception, InputError), done.output
    return str(done.exception)


OF_ONE_VALUE = [
    (name, option)
    for name, verb in VERBS.items()
    for option in verb.params
    if isinstance(option, click.Option) and {*option.opts} & {*CHOOSING} and not option.multiple
]


@pytest.mark.parametrize(
    ("verb", "option"), OF_ONE_VALUE, ids=[f"{verb}-{one.name}" for verb, one in OF_ONE_VALUE]
)
@pytest.mark.parametrize("several", ["all", "942 950", "7.2.0\t7.2.2", "sglang all"])
def test_several_in_a_variable_are_not_said_to_an_option_of_one(
    verb: str, option: click.Option, several: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert option.envvar is not None
    monkeypatch.setenv(str(option.envvar), several)
    context = click.Context(VERBS[verb])
    assert option.handle_parse_result(context, {}, [])[0] == option.get_default(context)
    monkeypatch.setenv(str(option.envvar), "942")
    assert option.handle_parse_result(click.Context(VERBS[verb]), {}, [])[0] == "942"
    # What is typed is taken at its word.
    given = {str(option.name): several}
    assert option.handle_parse_result(click.Context(VERBS[verb]), given, [])[0] == several


def test_those_options_are_there() -> None:
    found = {(verb, option.name) for verb, option in OF_ONE_VALUE}
    assert found == {
        *(("pick", name) for name in ("arch", "server", "rocm")),
        *((verb, "server_name") for verb in ("run-args", "deploy")),
        ("probe", "arch"),
    }


IMAGE = "example.org/team/mine:1"


def test_run_args_takes_every_server_in_a_variable_for_none() -> None:
    plain = run("run-args", IMAGE)
    assert "--publish" in plain.stdout
    assert run("run-args", IMAGE, ROCM_IMAGES_SERVER="all").stdout == plain.stdout
    assert run("run-args", IMAGE, ROCM_IMAGES_SERVER="vllm").stdout != plain.stdout
    assert refused("run-args", IMAGE, "--server", "all").startswith("unknown inference server")


def test_a_server_in_a_variable_contradicts_no_repository() -> None:
    ours = "example.org/team/sglang-rocm:1"
    plain = run("run-args", ours).stdout
    assert plain
    assert run("run-args", ours, ROCM_IMAGES_SERVER="vllm").stdout == plain
    assert "--server says vllm" in refused("run-args", ours, "--server", "vllm")


def test_several_archs_in_a_variable_leave_pick_to_ask_for_one() -> None:
    said = refused("pick", ROCM_IMAGES_ARCH="942 950")
    assert said.startswith("say for which GPU: --arch ARCH, or --auto")
    assert said.endswith("(ROCM_IMAGES_ARCH names several, which is not for this verb)")
    assert "ROCM_IMAGES" not in refused("pick")


def test_explain_takes_one_cell_and_no_several_of_a_variable() -> None:
    one = ("explain", "--arch", "942", "--base", "7.2.0")
    whole = run(*one).stdout
    assert whole.startswith("sglang-942-rocm7.2.0: ")
    assert run(*one, ROCM_IMAGES_SERVER="all").stdout == whole
    assert run("explain", ROCM_IMAGES_ARCH="mi300x", ROCM_IMAGES_BASE="7.2.0").stdout == whole
    named = run("explain", "sglang-942-rocm7.2.0", ROCM_IMAGES_ARCH="950", ROCM_IMAGES_BASE="x")
    assert named.stdout == whole
    assert "vllm-942-rocm7.2.0" in refused(*one, "--server", "all")
    assert "ROCM_IMAGES_ARCH names several" in refused("explain", ROCM_IMAGES_ARCH="942 950")


OF_ONE_REPOSITORY = {
    "mirror": ("--to", "localhost:8"),
    "bundle": ("--output", "images.tar"),
    "rollback": ("--to", "v1"),
    "publish": ("--from", "bundle.tar"),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The repositories that verbs come to, each of which is then refused."""
    names: list[str] = []

    def place_of(name: str, *_: object) -> NoReturn:
        names.append(name)
        raise InputError("as far as this test goes")

    monkeypatch.setattr(place, "place_of", place_of)
    monkeypatch.chdir(tmp_path)
    Path("cosign.pub").write_text("-----BEGIN PUBLIC KEY-----\n")
    Path("bundle.tar").write_text("")
    return names


@pytest.mark.parametrize("verb", OF_ONE_REPOSITORY)
@pytest.mark.parametrize("several", ["all", "sglang vllm"])
def test_a_verb_of_one_repository_takes_the_default_for_several_and_says_so(
    verb: str, several: str, asked: list[str]
) -> None:
    words = (verb, *OF_ONE_REPOSITORY[verb], "--registry", "localhost:9", "--key", "cosign.pub")
    done = run(*words, ROCM_IMAGES_SERVER=several)
    assert asked == ["sglang-rocm"], done.exception
    assert "note: ROCM_IMAGES_SERVER names several" in done.stderr
    assert "--server chooses another" in done.stderr
    asked.clear()
    done = run(*words, ROCM_IMAGES_SERVER="vllm")
    assert asked == ["vllm-rocm"]
    assert "note: ROCM" not in done.stderr
    typed = [word for name in several.split() for word in ("--server", name)]
    assert "name one inference server with --server" in refused(*words, *typed)


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        (("plan",), {"ROCM_IMAGES_ARCH": "943"}),
        (("plan",), {"ROCM_IMAGES_BASE": "7.2.0 7.2.99"}),
        (("plan",), {"ROCM_IMAGES_SERVER": "sglan"}),
        (("plan",), {"ROCM_IMAGES_COMPRESSION": "zip"}),
        (("plan",), {"ROCM_IMAGES_MATRIX": "/proc/absent/m.yaml"}),
        (("plan",), {"ROCM_IMAGES_REGISTRY": "HTTP://X"}),
        (("plan", "--registry", "localhost:9"), {"ROCM_IMAGES_CA_BUNDLE": "/proc/absent"}),
        (("plan", "--registry", "localhost:9"), {"ROCM_IMAGES_PUBLIC_KEY": "/proc/absent"}),
        (("plan", "--registry", "localhost:9"), {"ROCM_IMAGES_IDENTITY": "https://x"}),
        (("plan",), {"ROCM_IMAGES_SERVER": "sglang", "ROCM_IMAGES_ARCH": "MI400X"}),
        (("build",), {"ROCM_IMAGES_CACHE": "x"}),
        (("build",), {"ROCM_IMAGES_PIP_CONFIG": "/proc/absent"}),
        (("run-args", IMAGE), {"ROCM_IMAGES_SERVER": "vlm"}),
        (("pick", "--auto"), {"ROCM_IMAGES_CATALOGUE": "/proc/absent"}),
        (
            ("publish", "--registry", "localhost:9"),
            {"ROCM_IMAGES_CHANNEL": "stable preview"},
        ),
        (
            ("publish", "--registry", "localhost:9"),
            {"ROCM_IMAGES_SIGNING_KEY": "/proc/absent"},
        ),
    ],
    ids=lambda value: next(reversed(value)).lower() if isinstance(value, dict) else value[0],
)
def test_an_error_of_what_a_variable_says_names_the_variable(
    words: tuple[str, ...], variables: dict[str, str]
) -> None:
    *_, (variable, value) = variables.items()
    option = next(name for name, short in OF_OPTIONS.items() if variable.endswith(f"ES_{short}"))
    said = refused(*words, **variables)
    assert said.endswith(f" ({option} is from {variable})")
    pieces = value.split() if option in CHOOSING else [value]
    typed = [word for one in pieces for word in (option, one)]
    assert refused(*words, *typed) == said.rpartition(" (")[0]


def test_a_value_that_click_refuses_names_the_variable_too() -> None:
    assert "ROCM_IMAGES_JOBS" in run(ROCM_IMAGES_JOBS="0").output


def test_of_a_matrix_with_problems_the_variable_stands_below_them(
    matrix_file: Callable[..., Path],
) -> None:
    path = matrix_file(("bases:", "bsaes:"))
    said = refused("plan", ROCM_IMAGES_MATRIX=str(path))
    assert said.splitlines()[-1] == "(--matrix is from ROCM_IMAGES_MATRIX)"
    assert refused("plan", "--matrix", str(path)) == said.rpartition("\n")[0]


def test_an_error_of_something_else_names_no_variable() -> None:
    everywhere = {
        "ROCM_IMAGES_SERVER": "all",
        "ROCM_IMAGES_CHANNEL": "stable",
        "ROCM_IMAGES_JOBS": "2",
        "ROCM_IMAGES_WAIT": "9",
    }
    said = refused("--context", "aiter-src=/proc/absent", **everywhere)
    assert said == refused("--context", "aiter-src=/proc/absent")


def test_a_variable_that_is_empty_says_nothing() -> None:
    variables = {f"ROCM_IMAGES_{name}": "" for name in OF_OPTIONS.values()}
    plain, empty = (json.loads(run("plan", "--json", **given).stdout) for given in ({}, variables))
    assert plain == empty


def test_the_page_is_what_its_script_writes() -> None:
    assert MAKER["page"](PAGE) == PAGE


def test_every_variable_is_on_the_page_and_several_values_have_spaces_between() -> None:
    options = [
        option
        for verb in VERBS.values()
        for option in verb.params
        if isinstance(option, click.Option)
    ]
    variables = {str(option.envvar) for option in options if option.envvar}
    assert len(variables) == len(OF_OPTIONS)
    assert {variable for variable in variables if f"| `{variable}` |" not in PAGE} == set()
    several = [option for option in options if option.multiple and option.envvar]
    assert {option.type.envvar_list_splitter for option in several} == {None}


BASE = "rocm/pytorch:rocm7.2_ubuntu22.04_py3.10_pytorch_release_2.9.1"
MIRROR = f"{BASE}=docker-image://mirror.example.org/base:1"
ELSEWHERE = "vllm-src=https://git.example.org/vllm.git#main"
ONE = ("plan", "--json", "--arch", "942", "--base", "7.2.0")


def build_id(*words: str, **variables: str) -> str:
    done = run(*ONE, *words, **variables)
    assert done.exit_code == 0, done.exception
    (cell,) = json.loads(done.stdout)
    return str(cell["build_id"])


def test_a_sites_mirror_is_said_and_is_what_is_typed() -> None:
    mirrored = build_id("--context", MIRROR)
    assert mirrored != build_id()
    # What only cells of others have is theirs.
    done = run(*ONE, ROCM_IMAGES_CONTEXT=f"{ELSEWHERE} {MIRROR}")
    assert json.loads(done.stdout)[0]["build_id"] == mirrored
    assert f"note: ROCM_IMAGES_CONTEXT replaces {BASE}\n" in done.stderr
    assert "replaces nothing" in refused(*ONE, "--context", ELSEWHERE)


def test_what_is_typed_takes_the_place_of_all_mirrors() -> None:
    typed = ("--context", "aiter-src=https://git.example.org/aiter.git#main")
    assert build_id(*typed, ROCM_IMAGES_CONTEXT=MIRROR) == build_id(*typed)


def test_a_mirror_of_what_the_matrix_has_not_is_said() -> None:
    done = run(*ONE, ROCM_IMAGES_CONTEXT="aiter-source=https://git.example.org/aiter.git")
    assert done.exit_code == 0
    assert "'aiter-source' is nothing of this matrix: did you mean 'aiter-src'?" in done.stderr


def test_a_rehearsal_is_built_from_its_own_parts() -> None:
    plain = build_id("--rehearse")
    assert build_id("--rehearse", ROCM_IMAGES_CONTEXT=MIRROR) == plain
    assert build_id("--rehearse", "--context", MIRROR) != plain


@pytest.mark.parametrize("scheme", ["", "oci-layout://", "OCI-Layout://", "file://", "made-up://"])
@pytest.mark.parametrize("verb", ["build", "plan", "ci-matrix", "publish", "push"])
def test_what_is_of_this_machine_is_refused_in_the_variable_by_every_verb(
    verb: str, scheme: str, tmp_path: Path
) -> None:
    said = refused(verb, ROCM_IMAGES_CONTEXT=f"aiter-src={scheme}{tmp_path}")
    assert "is for a site's mirrors: type what is of this machine" in said
    typed = run("plan", "--context", f"aiter-src={scheme}{tmp_path}")
    assert typed.exit_code == 0, typed.exception


@pytest.mark.parametrize(
    "source",
    [
        *(f"{scheme}://example.org/aiter.git" for scheme in ("https", "http", "ssh", "git")),
        *("git@example.org:team/aiter.git", "docker-image://mirror.example.org/aiter:1"),
    ],
)
def test_an_address_of_a_server_is_not(source: str) -> None:
    mirror = f"aiter-src={source}"
    assert build_id(ROCM_IMAGES_CONTEXT=mirror) == build_id("--context", mirror) != build_id()


@pytest.mark.parametrize("words", [("--gitlab",), ("--changed-since", "HEAD")])
def test_what_others_would_not_have_is_not_typed_for_ci_matrix(words: tuple[str, ...]) -> None:
    assert "set ROCM_IMAGES_CONTEXT" in refused("ci-matrix", "--context", MIRROR, *words)


def test_how_the_base_is_compressed_has_a_variable() -> None:
    asked = build_id("--recompress-base")
    assert asked != build_id()
    assert build_id(ROCM_IMAGES_RECOMPRESS_BASE="1") == asked
    assert build_id("--no-recompress-base", ROCM_IMAGES_RECOMPRESS_BASE="1") == build_id()


def test_the_cache_of_models_has_a_variable() -> None:
    assert "/srv/models:" in run("run-args", IMAGE, ROCM_IMAGES_MODEL_CACHE="/srv/models").stdout
    typed = run("run-args", IMAGE, "--model-cache", "/m", ROCM_IMAGES_MODEL_CACHE="/srv/models")
    assert "/m:" in typed.stdout
    assert "/srv" not in typed.stdout


TYPED_ALONE = [
    (verb, word)
    for verb, command in VERBS.items()
    for option in command.params
    for word in {*option.opts} & {*TYPED}
]


@pytest.mark.parametrize(("verb", "word"), TYPED_ALONE, ids="-".join)
def test_what_is_typed_alone_is_refused_in_a_variable(
    verb: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (option,) = (one for one in VERBS[verb].params if word in one.opts)
    variable = variable_of(word)
    context = click.Context(VERBS[verb])
    monkeypatch.setenv(variable, "1")
    with pytest.raises(
        InputError, match=f"^{variable} is set, and no verb goes by it: .*Type {word}"
    ):
        option.handle_parse_result(context, {}, [])
    typed = {str(option.name): True}
    option.handle_parse_result(click.Context(VERBS[verb]), typed, [])
    monkeypatch.setenv(variable, "")
    option.handle_parse_result(click.Context(VERBS[verb]), {}, [])


def test_a_verb_that_takes_no_such_option_minds_no_variable_of_it() -> None:
    assert {verb for verb, _ in TYPED_ALONE} > {"build", "publish", "prune"}
    everything = {variable_of(word): "1" for word in TYPED}
    assert run("explain", "sglang-942-rocm7.2.0", **everything).exit_code == 0
    assert refused("plan", **everything).startswith("ROCM_IMAGES_REHEARSE is set")
