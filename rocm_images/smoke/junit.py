"""Keeps what pytest wrote of a smoke test beside its evidence, in JUnit's format, for CI servers.

It may be shown to anybody: credentials are masked, and no text or file is longer than is read. It
is a report and no evidence: nothing goes by it.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from rocm_images.files import write_whole
from rocm_images.masking import masked
from rocm_images.smoke.evidence import Evidence, evidence_path

LONGEST_TEXT = 32 * 1024
"""Characters of what one test printed that are kept: their end, where the failure stands."""
LARGEST = 8 * 1024 * 1024
"""Bytes of pytest's file; of a larger one, as of none, the report has what the evidence has."""
# https://www.w3.org/TR/xml/#charsets
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_path(folder: Path, image_id: str) -> Path:
    """Where the report of an image's smoke test lies, beside its evidence."""
    return evidence_path(folder, image_id).with_suffix(".junit.xml")


def keep(results: Path, evidence: Evidence, folder: Path) -> Path:
    """Write the report of a smoke test; returns its path.

    Args:
        results: what pytest wrote, or did not come to write.
        evidence: what was made of it.
        folder: that of the evidence.

    Raises:
        InputError: it cannot be written.
        WriteRefused: the disk is full or read-only, or the like.
    """
    suites = _read(results)
    # A run that was stopped, or broke off without a test that failed, has failed all the same.
    told = suites.find(".//failure") is not None or suites.find(".//error") is not None
    if not evidence.passed and not told:
        suite = ElementTree.SubElement(suites, "testsuite", name="smoke", tests="1", errors="1")
        case = ElementTree.SubElement(suite, "testcase", classname="smoke", name="run")
        said = ElementTree.SubElement(case, "error", message=next(iter(evidence.failures), ""))
        said.text = "\n".join(evidence.failures)
    for suite in suites.iter("testsuite"):
        suite.set("name", evidence.cell)
        # pytest says which machine it was.
        suite.attrib.pop("hostname", None)
        properties = ElementTree.Element("properties")
        for name in ("image_id", "level", "tests"):
            value = str(getattr(evidence, name))
            ElementTree.SubElement(properties, "property", name=name, value=value)
        suite.insert(0, properties)
    for element in suites.iter():
        element.text, element.tail = _shown(element.text), _shown(element.tail)
        for name, value in element.attrib.items():
            element.set(name, _shown(value) or "")
    path = junit_path(folder, evidence.image_id)
    write_whole(path, ElementTree.tostring(suites, encoding="unicode") + "\n")
    return path


def _read(results: Path) -> ElementTree.Element:
    try:
        if results.stat().st_size <= LARGEST:
            found = ElementTree.parse(results).getroot()
            if found.tag == "testsuites":
                return found
    except (OSError, ElementTree.ParseError):
        pass
    return ElementTree.Element("testsuites")


def _shown(text: str | None) -> str | None:
    if text is None:
        return None
    # Masked whole: a cut may leave a password without its address.
    text = masked(_NO_XML.sub("?", text))
    return text if len(text) <= LONGEST_TEXT else f"(cut) ... {text[-LONGEST_TEXT:]}"
