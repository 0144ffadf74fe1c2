"""An error of what a variable says names it, and some options have none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import pytest

from invoked import IMAGE, VERBS, refused, run
from rocm_images.cli.variables import CHOOSING, OF_OPTIONS, TYPED, variable_of
from rocm_images.errors import InputError


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
