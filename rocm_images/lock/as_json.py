"""What moved upstream and what is newer there, for machines: what `lock --check --json` prints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rocm_images.lock.changes import Change, Wanted
from rocm_images.lock.file import Lock
from rocm_images.lock.newer import Consequence, NewerBase, NewerRelease, News
from rocm_images.lock.report import cells_with
from rocm_images.masking import masked_document
from rocm_images.matrix.schema import Base, Matrix


def json_text(
    matrix: Matrix,
    before: Lock,
    changes: Sequence[Change],
    unresolved: Mapping[Wanted, str],
    news: News,
) -> str:
    """One object; docs/lock.md says what its keys mean.

    Args:
        before: the lock as it is.
        changes: how it differs from what was resolved.
        unresolved: for each name that could not be resolved the reason.
    """
    document = {
        "moved": [
            {
                "name": one.key,
                "was": one.old,
                "is_now": one.new,
                "cells": cells_with(matrix, one),
            }
            for one in changes
        ],
        "unresolved": [
            {"name": one.key, "why": reason, "entry": before.entries.get(one.key)}
            for one, reason in unresolved.items()
        ],
        "newer_bases": [_newer_base(one) for one in news.bases],
        "newer_releases": [_newer_release(one) for one in news.releases],
        "not_asked": news.unasked,
    }
    return json.dumps(masked_document(document), indent=2)


def _newer_base(one: NewerBase) -> dict[str, Any]:
    return {
        **_base(one.rocm, one.base),
        "newest_here": _base(one.instead_of, one.ours),
        "servers": _servers(one.consequences),
    }


def _newer_release(one: NewerRelease) -> dict[str, Any]:
    return {
        "server": one.server,
        "ref": one.release.tag,
        "version": one.release.version,
        "between": one.between,
        "newest_here": {"version": one.instead_of},
        "servers": _servers(one.consequences),
    }


def _base(rocm: str, base: Base) -> dict[str, str]:
    return {"rocm": rocm, "image": base.image, "python": base.python, "torch": base.torch}


def _servers(consequences: Iterable[Consequence]) -> list[dict[str, Any]]:
    return [
        {
            "server": one.server,
            "fits": not one.cannot,
            "cannot": one.cannot,
            "advisories": {"come": one.come, "go": one.go},
            "all_reduce": [{"before": before, "after": after} for before, after in one.all_reduce],
        }
        for one in consequences
    ]
