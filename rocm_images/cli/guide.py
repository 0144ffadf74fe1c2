"""What each verb is for: the groups of `--help`, and the examples in each verb's own help."""

from __future__ import annotations

import shutil
import textwrap

MOST_COLUMNS = 100
"""How wide help becomes."""
_INDENT = 4
"""Columns before an example in help."""

VERBS: dict[str, dict[str, tuple[str, ...]]] = {
    "Build and test": {
        "build": ("--arch 942", "--arch 942 --jobs 4 --no-smoke", "--arch 942 --rehearse"),
        "plan": ("plan", "plan --arch 942 --json", "plan --registry registry.example.org/team"),
        "explain": (
            "explain {server}-942-rocm7.2.0",
            "explain --server {other} --arch MI300X --base 7.2.0",
        ),
        "smoke": ("smoke --arch 942", "smoke --image {server}-rocm:v0.5.21-mi30x --serve"),
        "probe": (
            "probe rocm/pytorch:latest",
            "probe rocm/pytorch:latest --arch MI350X --gpus 4 capture --json",
        ),
        "evidence": ("evidence verify evidence.json",),
        "sizes": ("sizes --arch 942",),
        "diff": ("diff {server}-rocm:v0.5.21-rocm720-mi30x {server}-rocm:v0.5.21-rocm722-mi30x",),
    },
    "Keep the inputs in order": {
        "init": ("init", "init my-images"),
        "render": ("render", "render --check"),
        "schema": ("schema",),
        "lock": ("lock", "lock --check", "lock --update 7.2.2 --update {server}", "lock --take"),
    },
    "Publish, and deploy what was published": {
        "publish": (
            "publish --registry registry.example.org/team --sign-key cosign.key",
            "publish --registry registry.example.org/team --sign-key cosign.key --dry-run",
        ),
        "catalogue": (
            "catalogue --registry registry.example.org/team --key cosign.pub",
            "catalogue --schema",
        ),
        "pick": ("pick --auto", "pick --arch 942 --rocm 7.2.0", "pick --auto --server {other}"),
        "pull": ("pull registry.example.org/team/{server}-rocm:v0.5.21-mi30x --key cosign.pub",),
        "run-args": ("run-args v0.5.21-mi30x", "run-args v0.5.21-mi30x --explain"),
        "deploy": (
            "deploy v0.5.21-mi30x --as kubernetes --model Qwen/Qwen3-8B",
            "deploy v0.5.21-mi30x --as compose --model Qwen/Qwen3-8B --output compose.yaml",
            "deploy v0.5.21-mi30x --as helm --model Qwen/Qwen3-8B --output chart",
            "deploy v0.18.1-mi30x --as docker --model Qwen/Qwen3-8B --server {other}",
        ),
        "sbom": (
            "sbom {server}-rocm:v0.5.21-mi30x --output sbom.cdx.json",
            "sbom registry.example.org/team/{server}-rocm:v0.5.21-mi30x --key cosign.pub "
            "--as spdx-json",
        ),
        "release-notes": ("release-notes before.json after.json --title v0.5.21",),
    },
    "In a CI": {
        "ci-matrix": (
            "ci-matrix --changed-since origin/main",
            "ci-matrix --missing-from registry.example.org/team --gitlab",
        ),
        "push": ("push --registry registry.example.org/team --sign-key cosign.key --arch 942",),
        "summary": ("summary", "summary build results"),
    },
    "Back, and elsewhere": {
        "rollback": (
            "rollback --registry registry.example.org/team --key cosign.pub "
            "--to v0.5.21-rocm722-mi30x-0123456789ab",
        ),
        "mirror": (
            "mirror --registry registry.example.org/team --key cosign.pub "
            "--to mirror.example.org/team",
        ),
        "bundle": (
            "bundle --registry registry.example.org/team --key cosign.pub --output images.tar",
        ),
        "prune": (
            "prune --registry registry.example.org/team --key cosign.pub",
            "prune --registry registry.example.org/team --sign-key cosign.key --keep-history 2 "
            "--not-before 2026-11-01 --yes",
        ),
    },
}
"""Each verb by its group, with examples: what follows the program's name."""

_EXAMPLES = {verb: examples for verbs in VERBS.values() for verb, examples in verbs.items()}


def examples_of(verb: str) -> tuple[str, ...]:
    """The examples of a verb, where inference servers are named with the default and another."""
    found = _EXAMPLES[verb]
    if "{" not in "".join(found):
        return found
    # Only who is shown one waits for what is known of servers.
    from rocm_images.servers import DEFAULT, SERVERS

    other = next((name for name in SERVERS if name != DEFAULT.name), DEFAULT.name)
    return tuple(one.format(server=DEFAULT.name, other=other) for one in found)


def over_lines(command: str) -> list[str]:
    """A command as a shell takes it, in lines that are no longer than help is wide."""
    width = min(shutil.get_terminal_size().columns, MOST_COLUMNS) - _INDENT - len(" \\")
    lines = textwrap.wrap(
        command,
        width,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]
