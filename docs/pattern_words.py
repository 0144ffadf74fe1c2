"""Takes a regular expression apart into what it is found by: its alternatives, and their words.

It knows the syntax that the judge's patterns use (tests/unit/serve_probe/test_pattern_words.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(r"\\.|\[(?:\\.|[^\]\\])+\]|\(\?P<\w+>|\(\?(?:<?[=!]|:)|.")
_QUANTIFIERS = ("?", "*", "+", "{")
_LETTERS = re.compile(r"\[([A-Za-z]{2,4})\](?![?*+{])")
# What may be left out, or stands for no character: a repeated space is one.
_NOTHING = re.compile(
    r"\\b|\^|\(\?<?[=!][^()]*\)|\(\?:[^()]*\)\?|(?<!\\)[\w: ]\?|(?<= )(?:\+|\{1,\d\})"
)


def alternatives(pattern: str) -> Iterator[str]:
    """Each alternative of a pattern, with those of its groups written out, as a pattern.

    Forms of one word that differ in case are one; what may be left out is not taken apart.
    """
    letters = _LETTERS.sub(lambda found: f"(?:{'|'.join(found[1])})", pattern)
    for part in _split(letters):
        yield from _without_groups(part)


def _split(pattern: str) -> list[str]:
    """Its alternatives, at the outermost level."""
    parts, depth = [""], 0
    for token in _TOKEN.findall(pattern):
        depth += token.startswith("(") - (token == ")")
        if token == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def _without_groups(part: str, since: int = 0) -> Iterator[str]:
    for group in re.finditer(r"(?<!\\)\(\?:", part[since:]):
        begin, inside = since + group.start(), since + group.end()
        end = _end_of_group(part, inside)
        choices: dict[str, list[str]] = {}
        for choice in _split(part[inside:end]):
            choices.setdefault(choice.casefold(), []).append(choice)
        if len(choices) > 1 and not part.startswith(_QUANTIFIERS, end + 1):
            for same in choices.values():
                one = same[0] if len(same) == 1 else f"(?:{'|'.join(same)})"
                yield from _without_groups(f"{part[:begin]}{one}{part[end + 1 :]}", begin)
            return
    yield part


def _end_of_group(pattern: str, inside: int) -> int:
    """Where the group ends whose inside begins there: the place of its parenthesis."""
    depth, at = 1, inside
    for token in _TOKEN.findall(pattern[inside:]):
        depth += token.startswith("(") - (token == ")")
        if depth == 0:
            break
        at += len(token)
    return at


def literal(alternative: str) -> str | None:
    """The shortest words that an alternative is found in; None where it only describes some."""
    words = alternative.replace(r"[\w ]{0,40}", " ")
    words = re.sub(
        r"\(\?:([^()?|]+)\|[^()?]*\)(?!\?)(\w?)",
        lambda form: (form[1].lower() if form[2] else form[1]) + form[2],
        words,
    )
    words = _NOTHING.sub("", words)
    if re.search(r"\\\w|\{|\(\?", words):
        return None
    return re.sub(r"\\(\W)", r"\1", words)
