"""No sentence advises an option that the verb which says it does not have.

A verb says the sentences of whatever it calls. What calls what is read from the program's text, by
names: of a class that is named every method counts, so that some of what is found cannot happen.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click
import pytest

from rocm_images.cli.main import main

PROJECT = Path(__file__).resolve().parents[3]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
QUOTED = re.compile(r"`[^`]*`")

# What names the module and the thing that has the text, its options, and why none of it is wrong.
CANNOT_HAPPEN = {
    ("rocm_images.cli.variables", "OF_ONE"): "names of verbs, one of which has that option",
    ("rocm_images.plan.cells", "Cell"): "the words of a cell, which stand in commands",
    ("rocm_images.catalogue.file", "FETCH"): "a command, which stands in backquotes",
    ("rocm_images.distributing.pull", "verify"): "sbom asks for the lowest level",
    ("rocm_images.engine.run_flags", "_flags"): "reasons, which run-args --explain alone shows",
    ("rocm_images.registry.place", "place_of"): "those verbs are told the registry by another name",
}

Place = tuple[str, str]
"""A module, and a function, a class or a constant at its head."""


@dataclass(frozen=True)
class Program:
    """What a package's modules define, and what they import of each other."""

    folder: Path

    @cached_property
    def trees(self) -> Mapping[str, ast.Module]:
        return {
            ".".join(path.relative_to(self.folder.parent).with_suffix("").parts): ast.parse(
                path.read_text(encoding="utf-8")
            )
            for path in self.folder.rglob("*.py")
        }

    @cached_property
    def things(self) -> Mapping[Place, ast.AST]:
        found: dict[Place, ast.AST] = {}
        for module, tree in self.trees.items():
            for node in tree.body:
                if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                    found[module, node.name] = node
                elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    found[module, node.targets[0].id] = node.value
                elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    found[module, node.target.id] = node.value or ast.Pass()
        return found

    @cached_property
    def imports(self) -> Mapping[Place, Place]:
        return {
            (module, name.asname or name.name): (node.module or "", name.name)
            for module, tree in self.trees.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for name in node.names
        }

    def meant(self, place: Place) -> Place | None:
        """What a name in a module stands for, through whatever imports it; a module: with ""."""
        while place not in self.things:
            if place not in self.imports:
                return None
            place = self.imports[place]
            if ".".join(place) in self.trees:
                return ".".join(place), ""
        return place

    def named_by(self, place: Place) -> Iterator[Place]:
        for node in parts_of(self.things[place]):
            found = None
            if isinstance(node, ast.Name):
                found = self.meant((place[0], node.id))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                module = self.meant((place[0], node.value.id))
                found = self.meant((module[0], node.attr)) if module and not module[1] else None
            if found and found in self.things:
                yield found

    def reached_from(self, place: Place) -> set[Place]:
        found, ahead = {place}, [place]
        while ahead:
            more = {*self.named_by(ahead.pop())} - found
            found |= more
            ahead += more
        return found


def parts_of(thing: ast.AST) -> Iterator[ast.AST]:
    """Every node of it, but for decorators, annotations, and texts that nobody uses."""
    ahead = [thing]
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.FunctionDef):
            ahead += [*node.body, *node.args.defaults]
        elif isinstance(node, ast.ClassDef):
            ahead += [*node.body, *node.bases]
        elif isinstance(node, ast.AnnAssign):
            ahead += [node.value] if node.value else []
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield node
            # Its pieces are no texts of their own.
            ahead += [
                part
                for part in ast.iter_child_nodes(node)
                if not (isinstance(node, ast.JoinedStr) and isinstance(part, ast.Constant))
            ]


def sentences_of(thing: ast.AST) -> Iterator[str]:
    for node in parts_of(thing):
        pieces = node.values if isinstance(node, ast.JoinedStr) else [node]
        texts = [one.value if isinstance(one, ast.Constant) else "X" for one in pieces]
        text = "".join(str(one) for one in texts)
        if isinstance(node, (ast.JoinedStr, ast.Constant)) and " " in text:
            yield text


def advised(text: str, known: set[str]) -> set[str]:
    """The options that it wants typed; one at its beginning is what was typed.

    What is in backquotes names its verb.
    """
    options = OPTION.findall(QUOTED.sub("", text))
    if text.startswith("--") and options and options[0] not in known:
        # It is about an option that is not there, and so not said.
        return set()
    return set(options)


def options_of(verb: click.Command) -> set[str]:
    return {name for one in verb.params for name in (*one.opts, *one.secondary_opts)}


def verbs_of(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs_of(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


VERBS = dict(verbs_of(main))
EVERY_OPTION = set().union(*map(options_of, VERBS.values()))
OURS = Program(PROJECT / "rocm_images")


def wrong(program: Program, start: Place, has: set[str], every: set[str]) -> dict[Place, set[str]]:
    """Where options are advised to who starts there, and has not all of these."""
    found: dict[Place, set[str]] = {}
    for place in program.reached_from(start):
        for text in sentences_of(program.things[place]):
            if lacking := advised(text, has) & every - has:
                found.setdefault(place, set()).update(lacking)
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_advises_an_option_that_it_does_not_have(verb: str) -> None:
    callback = inspect.unwrap(VERBS[verb].callback or pytest.fail(verb))
    start = (callback.__module__, callback.__name__)
    assert start in OURS.things
    found = wrong(OURS, start, options_of(VERBS[verb]), EVERY_OPTION)
    assert {place: lacking for place, lacking in found.items() if place not in CANNOT_HAPPEN} == {}


def test_what_cannot_happen_is_still_there() -> None:
    everywhere = [
        wrong(OURS, (one.__module__, one.__name__), options_of(verb), EVERY_OPTION)
        for verb in VERBS.values()
        if verb.callback and (one := inspect.unwrap(verb.callback))
    ]
    assert {place for found in everywhere for place in found} == set(CANNOT_HAPPEN)


def commands_in(text: str) -> Iterator[tuple[str, set[str]]]:
    """Each command of ours in backquotes, by its verb, and the options that it has."""
    for quoted in QUOTED.findall(text):
        words = quoted.strip("`").split()
        # Where a sentence has the program as it was called, X stands in its text.
        ours = [word for word in words if word not in ("python", "build.py", "rocm-images", "X")]
        verb = next((one for n in (2, 1) if (one := " ".join(ours[:n])) in VERBS), "")
        if not verb and len(ours) < len(words) and ours[:1] and ours[0].startswith("--"):
            verb = "build"
        if verb:
            yield verb, set(OPTION.findall(quoted))


@pytest.mark.parametrize("module", OURS.trees)
def test_a_command_that_is_advised_has_its_options(module: str) -> None:
    for place, thing in OURS.things.items():
        for text in sentences_of(thing) if place[0] == module else ():
            for verb, options in commands_in(text):
                assert options <= options_of(VERBS[verb]) | {"--help"}, text


def test_a_command_is_read_with_its_verb_and_its_options() -> None:
    assert list(commands_in("run `python build.py lock --update X`, or `render --check`")) == [
        ("lock", {"--update"}),
        ("render", {"--check"}),
    ]
    assert list(commands_in("`build.py --arch X --force` builds it")) == [
        ("build", {"--arch", "--force"})
    ]
    assert list(commands_in("`docker run --rm` and `git fetch`")) == []


@pytest.fixture
def made_up(tmp_path: Path) -> Program:
    """A program in which a verb reaches sentences in every way that there is."""
    folder = tmp_path / "p"
    folder.mkdir()
    (folder / "verb.py").write_text(
        "def verb():\n"
        '    """Takes --documented or what."""\n'
        "    from p import other as there\n"
        "    from p.other import Thing, CONSTANT\n"
        "    there.called()\n"
    )
    (folder / "other.py").write_text(
        "from p.third import HINT\n"
        'CONSTANT = "name it with --constant"\n'
        'def called(): raise ValueError(f"{CONSTANT} or {1} with --called")\n'
        "def not_called(): return 'name it with --nobody'\n"
        "class Thing:\n"
        "    def method(self): return Thing, f'see {HINT}'\n"
        "def named(): return Thing()\n"
        "def quoted(): return 'run `x --quoted` at once'\n"
        "def about(): return '--about X: say --more'\n"
    )
    (folder / "third.py").write_text('HINT = "say --hint instead"\n')
    (folder / "again.py").write_text(
        "from p.other import quoted, about, named\ndef verb(): quoted, about, named\n"
    )
    return Program(folder)


def test_what_a_verb_reaches_is_found_and_nothing_else(made_up: Program) -> None:
    every = {f"--{name}" for name in ("constant", "called", "nobody", "hint", "quoted", "about")}
    every |= {"--documented", "--more"}
    assert wrong(made_up, ("p.verb", "verb"), set(), every) == {
        ("p.other", "CONSTANT"): {"--constant"},
        ("p.other", "called"): {"--called"},
    }
    assert wrong(made_up, ("p.verb", "verb"), {"--constant", "--called"}, every) == {}
    start = ("p.again", "verb")
    assert wrong(made_up, start, set(), every) == {("p.third", "HINT"): {"--hint"}}
    # What is about an option that is there may be said, with all that it advises.
    about = {("p.other", "about"): {"--more"}, ("p.third", "HINT"): {"--hint"}}
    assert wrong(made_up, start, {"--about"}, every) == about
