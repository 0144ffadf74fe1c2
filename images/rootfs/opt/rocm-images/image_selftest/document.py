"""The evidence file: which image, what each tier found, what that amounts to, and a seal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from image_selftest.tiers import FAILED, PASSED, Tier

KIND, SCHEMA = "rocm-serving-images selftest", 1
SEAL = "seal"


def document_of(
    image: Mapping[str, object], tiers: Sequence[Tier], date: str, seconds: float
) -> dict[str, object]:
    """The whole document, sealed. `date` is in UTC; `image` says which image it is about."""
    return sealed(
        {
            "kind": KIND,
            "schema": SCHEMA,
            "date": date,
            "seconds": round(seconds, 1),
            "image": dict(image),
            "level": level_of(tiers),
            "passed": has_passed(tiers),
            "tiers": [asdict(tier) for tier in tiers],
        }
    )


def level_of(tiers: Sequence[Tier]) -> str:
    """static, stand-in, emulated, gpu or serve: what the tiers really ran on, nothing higher."""
    by_name = {tier.name: tier for tier in tiers}
    probe = by_name.get("probe")
    found = (probe.found if probe else None) or {}
    if not found.get("devices"):
        return "static"
    runtime = found.get("runtime")
    runtime = runtime if isinstance(runtime, dict) else {}
    if runtime.get("is_stand_in", True):
        return "stand-in"
    if runtime.get("emulator"):
        return "emulated"
    serve = by_name.get("serve")
    return "serve" if serve and serve.status == PASSED else "gpu"


def has_passed(tiers: Sequence[Tier]) -> bool:
    """Whether something ran, and nothing that ran failed."""
    statuses = {tier.status for tier in tiers}
    return PASSED in statuses and FAILED not in statuses


def sealed(document: Mapping[str, object]) -> dict[str, object]:
    """The document with its seal: a checksum, which shows a change and proves no author."""
    return {**document, SEAL: seal_of(document)}


def seal_of(document: Mapping[str, object]) -> str:
    """sha256 over the document without its seal, as JSON with sorted keys and no spaces.

    A whole number has no fraction in it, whatever its type.
    """
    content = _plain({name: value for name, value in document.items() if name != SEAL})
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _plain(value: object) -> object:
    """The same with 1 for 1.0: other programs that pass the document on write it so."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
