"""Whatever a scanner answers, its findings are shown and held to a bound, or it refuses."""

from __future__ import annotations

import datetime
from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_sbom import SAID

from odd_documents import contents
from rocm_images.errors import PublishRefused
from rocm_images.foreign import shown_line
from rocm_images.matrix.schema import Scan
from rocm_images.publishing.findings import findings_in, judged
from rocm_images.publishing.scanning import Scanned, check, scan_table

TODAY = datetime.date(2026, 11, 26)
SCAN = Scan.model_validate(
    {
        "command": ["scanner", "{sbom}"],
        "at_most": "low",
        "allow": [{"id": "CVE-2099-0001", "why": "w", "until": "2026-11-26"}],
    }
)
ANSWER: dict[str, Any] = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"component": {"bom-ref": "c", "version": f"sha256:{'a' * 64}"}},
    "components": [{"bom-ref": "a", "name": "zlib", "version": "1.3"}],
    "vulnerabilities": [
        {
            "id": f"CVE-2099-000{number}",
            "ratings": [{"severity": severity, "score": 9.8}],
            "affects": [{"ref": "a"}],
        }
        for number, severity in enumerate(("critical", "high", "low"))
    ],
}


def whole(text: str) -> bool:
    """Nothing in it would act on a terminal."""
    return all(shown_line(line) == line for line in text.split("\n"))


@given(contents(ANSWER), st.sampled_from([SAID, {"components": None}, {}]))
def test_what_a_scanner_answers(content: bytes, sbom: dict[str, Any]) -> None:
    try:
        found = findings_in(content, sbom)
    except ValueError:
        return
    result = judged(found, SCAN, TODAY)
    # None of them is lost.
    kept = (*result.refused, *(one for one, _ in result.allowed), *result.below)
    assert sorted(one.id for one in kept) == sorted(one.id for one in found)
    image = Scanned("a-cell", f"sha256:{'d' * 64}", f"sha256:{'e' * 64}", result)
    assert whole(scan_table([image]))
    with pytest.raises(PublishRefused) if result.refused else nullcontext() as caught:
        check("stable", SCAN, [image])
    assert caught is None or whole(str(caught.value))
