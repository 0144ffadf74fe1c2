"""A variable is for many verbs: it says nothing where it cannot, and has its line on the page."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import NoReturn

import click
import pytest

from invoked import IMAGE, VERBS, build_id, options, refused, run
from rocm_images.cli.variables import CHOOSING, OF_OPTIONS
from rocm_images.errors import InputError
from rocm_images.registry import place

PROJECT = Path(__file__).resolve().parents[3]
MAKER = runpy.run_path(str(PROJECT / "docs" / "variables.py"))
PAGE = (PROJECT / "docs" / "variables.md").read_text()
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


def test_a_variable_that_is_empty_says_nothing() -> None:
    variables = {f"ROCM_IMAGES_{name}": "" for name in OF_OPTIONS.values()}
    plain, empty = (json.loads(run("plan", "--json", **given).stdout) for given in ({}, variables))
    assert plain == empty


def test_the_page_is_what_its_script_writes() -> None:
    assert MAKER["page"](PAGE) == PAGE


def test_every_variable_is_on_the_page_and_several_values_have_spaces_between() -> None:
    options_of_all = [option for _, option in options()]
    variables = {str(option.envvar) for option in options_of_all if option.envvar}
    assert len(variables) == len(OF_OPTIONS)
    assert {variable for variable in variables if f"| `{variable}` |" not in PAGE} == set()
    several = [option for option in options_of_all if option.multiple and option.envvar]
    assert {option.type.envvar_list_splitter for option in several} == {None}


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
