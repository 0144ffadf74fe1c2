"""The page says what the catalogue says, and lets nothing of it become markup."""

from __future__ import annotations

import html
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from made_up_catalogue import FIRST, catalogue, entry, of_both_servers
from rocm_images.catalogue import bills
from rocm_images.catalogue.file import write
from rocm_images.catalogue.merge import merged
from rocm_images.catalogue.page import level_in_words, page
from rocm_images.catalogue.schema import Catalogue
from rocm_images.catalogue.verifying import cosign_commands, pull_command, sbom_commands
from rocm_images.cli.main import main
from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.matrix.references import address_of
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.plan.selection import cell_named
from rocm_images.registry.trust import Trust
from rocm_images.servers import SERVERS
from rocm_images.smoke.evidence import Level
from rocm_images.tables import bytes_in_words


def test_every_image_has_its_command_by_digest(project_matrix: Matrix) -> None:
    found = catalogue(project_matrix)
    text = html.unescape(page(found))
    for image in found.images:
        assert f"  {image.repository}@{image.digest} \\\n" in text
        assert all(f"{image.repository}:{tag}" in text for tag in image.tags)


def test_images_of_every_server_are_on_one_page_the_default_ones_first(
    project_matrix: Matrix,
) -> None:
    # Of a name that comes before the default one's.
    both = of_both_servers(project_matrix, "vllm", "99.0")
    found = both.model_copy(
        update={
            "images": tuple(
                image.model_copy(update={"repository": image.repository.replace("vllm", "aaa")})
                for image in both.images
            )
        }
    )
    text = html.unescape(page(found))
    articles = text.split("<article ")[1:]
    servers = [re.search(r'data-server="(\w+)"', article)[1] for article in articles]  # type: ignore[index]
    half = len(servers) // 2
    assert servers == ["SGLang"] * half + ["vLLM"] * half
    for name in ("SGLang", "vLLM"):
        assert f'name="server" value="{name}"' in text
    for name, article in zip(servers, articles, strict=True):
        server = next(one for one in SERVERS.values() if one.title == name)
        assert f"number of GPUs after <code>{server.arguments.tensor[0]}</code>" in article
        command = article.partition("<h3>Run it</h3>")[2].partition("</code>")[0]
        assert server.launcher in command
        assert f"127.0.0.1:{server.port}:{server.port}" in command


def test_every_image_has_the_commands_that_verify_it_before_it_is_run(
    project_matrix: Matrix,
) -> None:
    found = catalogue(project_matrix)
    text = html.unescape(page(found))
    articles = text.split("<article ")[1:]
    for image, article in zip(found.images, articles, strict=True):
        pull, cosign = pull_command(image), cosign_commands(image)
        assert article.index(f"<code>{pull}</code>") < article.index("<h3>Run it</h3>")
        assert article.index(f"<code>{cosign}</code>") < article.index("<h3>Run it</h3>")
        program, verb, *words = shlex.split(pull)
        assert (program, verb) == ("rocm-images", "pull")
        given = main.commands["pull"].make_context(verb, words).params
        assert (given["image"], given["key"]) == (image.reference, "cosign.pub")
        # The page may lie about what an image was tested on; the evidence is asked.
        assert given["evidence"] == image.tested_on.level
        for line, check in zip(
            cosign.split(" &&\n"), ("verify", "verify-attestation"), strict=True
        ):
            told = shlex.split(line)
            assert (told[:2], told[-1]) == (["cosign", check], image.reference)
            assert "--key=cosign.pub" in told


def test_every_image_has_the_commands_that_say_what_it_holds(project_matrix: Matrix) -> None:
    found = catalogue(project_matrix)
    articles = html.unescape(page(found)).split("<article ")[1:]
    for image, article in zip(found.images, articles, strict=True):
        ours, cosign = sbom_commands(image.reference)
        assert f"<code>{ours}</code>" in article
        assert f"<code>{cosign}</code>" in article
        program, verb, *words = shlex.split(ours)
        assert (program, verb) == ("rocm-images", "sbom")
        given = main.commands["sbom"].make_context(verb, words).params
        assert (given["image"], given["key"]) == (image.reference, "cosign.pub")
        told = shlex.split(cosign.partition(" |")[0])
        assert told[:2] == ["cosign", "verify-attestation"]
        assert {"--key=cosign.pub", "--type=https://cyclonedx.org/bom", image.reference} < {*told}


def test_a_page_names_the_key_or_the_identity_that_its_publisher_signs_with(
    project_matrix: Matrix, tmp_path: Path
) -> None:
    found = catalogue(project_matrix)
    key = tmp_path / "team.pub"
    key.write_text("-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n")
    text = html.unescape(page(found, Trust(key=str(key))))
    assert " --key team.pub --evidence " in text
    assert "--key=team.pub" in text
    assert "-----BEGIN PUBLIC KEY-----\nMFkw" in text
    assert str(tmp_path) not in text
    identity, issuer = r"https://ci\.example\.org/team/.*", "https://issuer.example.org"
    text = html.unescape(page(found, Trust(identity=identity, issuer=issuer)))
    assert f" --identity '{identity}' --issuer {issuer} --evidence " in text
    assert f"--certificate-oidc-issuer={issuer}" in text
    assert "cosign.pub" not in text
    at_a_kms = html.unescape(page(found, Trust(key="awskms:///alias/team")))
    assert " --key awskms:///alias/team --evidence " in at_a_kms


def test_a_private_key_is_on_no_page(project_matrix: Matrix, tmp_path: Path) -> None:
    key = tmp_path / "team.key"
    key.write_text("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nsecret\n")
    assert "secret" not in page(catalogue(project_matrix), Trust(key=str(key)))


@pytest.mark.parametrize(("level", "told"), [(Level.SERVE, False), (Level.EMULATED, True)])
def test_that_nothing_is_known_against_an_image_is_no_claim_that_it_ran(
    project_matrix: Matrix, level: Level, told: bool
) -> None:
    one = entry(cells_of(project_matrix)[0], level=level)
    text = page(merged(None, [one.model_copy(update={"known_issues": ()})], FIRST))
    assert "None is known to us" in text
    assert ("None is known to us, and no GPU has run this image." in text) is told


@pytest.mark.parametrize("level", list(Level))
def test_every_level_has_plain_words(project_matrix: Matrix, level: Level) -> None:
    image = entry(cell_named(cells_of(project_matrix), "sglang-942-rocm7.2.0"), level=level)
    found = level_in_words(image.tested_on)
    on_none = level in (Level.STATIC, Level.STAND_IN, Level.EMULATED)
    assert found.on_a_gpu is not on_none
    assert ("no gpu" in found.sentence.lower()) is on_none
    assert ("stand-in" in found.sentence) is (level is Level.STAND_IN)
    assert ("emulated" in found.sentence) is (level is Level.EMULATED)


@pytest.mark.parametrize(
    ("level", "told"),
    [(Level.STAND_IN, "Stand-in devices"), (Level.EMULATED, "Emulated devices"), (Level.GPU, None)],
)
def test_devices_that_are_none_are_called_what_they_are(
    project_matrix: Matrix, level: Level, told: str | None
) -> None:
    cell = cells_of(project_matrix)[0]
    text = page(merged(None, [entry(cell, level=level)], FIRST))
    assert re.findall(r"<dt>(\S+ devices)</dt>", text) == ([told] if told else [])


def test_how_a_gpus_container_ran_is_said(project_matrix: Matrix) -> None:
    image = entry(cells_of(project_matrix)[0], level=Level.GPU)
    assert f"<code>docker run {AS_DEPLOYED}</code>" in page(merged(None, [image], FIRST))
    unknown = image.tested_on.model_copy(update={"ran_as": None})
    older = image.model_copy(update={"tested_on": unknown})
    assert "not recorded: perhaps with more of the host" in page(merged(None, [older], FIRST))
    emulated = entry(cells_of(project_matrix)[0], level=Level.EMULATED)
    assert "container ran as" not in page(merged(None, [emulated], FIRST))


def test_a_stand_in_is_called_one(project_matrix: Matrix) -> None:
    cell = cell_named(cells_of(project_matrix), "sglang-942-rocm7.2.0")
    real = page(merged(None, [entry(cell)], FIRST))
    assert "tand-in" not in real
    rehearsed = page(merged(None, [entry(cell, stand_in=True)], FIRST))
    assert "This is a stand-in." in rehearsed


def test_a_pre_release_is_called_one_and_not_recommended(project_matrix: Matrix) -> None:
    image = entry(cell_named(cells_of(project_matrix), "sglang-942-rocm7.2.2"))
    badges = ('<li class="good">Recommended</li>', '<li class="caution">Pre-release</li>')
    for version, shown in (("0.5.22", (True, False)), ("0.5.22rc0", (False, True))):
        text = page(merged(None, [image.model_copy(update={"version": version})], FIRST))
        assert tuple(badge in text for badge in badges) == shown


def test_the_release_comes_first_whatever_the_order_in_the_file(project_matrix: Matrix) -> None:
    image = entry(cell_named(cells_of(project_matrix), "sglang-942-rocm7.2.2"))
    both = [
        image.model_copy(update={"version": version, "immutable_tag": f"v{version}"})
        for version in ("0.5.22rc0", "0.5.21", "0.5.21.post1", "0.5.9")
    ]
    text = page(Catalogue(schema=2, updated=FIRST, images=tuple(both)))
    assert re.findall(r'<article id="v([^"]*)"', text) == [
        *("0.5.21.post1", "0.5.21", "0.5.9", "0.5.22rc0"),
    ]


def test_a_failed_test_is_said(project_matrix: Matrix) -> None:
    image = entry(cell_named(cells_of(project_matrix), "sglang-942-rocm7.2.0"))
    failed = image.tested_on.model_copy(update={"passed": False, "tests_failed": 3})
    text = page(merged(None, [image.model_copy(update={"tested_on": failed})], FIRST))
    assert "It failed 3 of its tests." in text
    assert "It failed" not in page(merged(None, [image], FIRST))


def test_no_text_of_the_catalogue_becomes_markup(project_matrix: Matrix) -> None:
    evil = "</style></script><img src=x onerror=alert(1)>\"'&{{ 7 * 7 }}"
    image = entry(
        cell_named(cells_of(project_matrix), "sglang-942-rocm7.2.0"),
        level=Level.STAND_IN,
    )
    document = json.loads(image.model_dump_json())
    document["gpus"] = [evil]
    document["base_image"] = evil
    document["all_reduce"]["reason"] = evil
    document["settings"][0]["value"] = evil
    for key in ("component", "symptom", "why", "fixed_in"):
        document["known_issues"][0][key] = evil
    document["known_issues"][0]["references"] = [evil, "javascript:alert(1)"]
    for key in ("runtime", "capture", "judgement", "ran_as"):
        document["tested_on"][key] = evil
    document["tested_on"]["devices"] = [evil]
    text = page(merged(None, [type(image).model_validate(document)], FIRST))
    assert "<img" not in text
    assert "{{ 7 * 7 }}" in html.unescape(text)
    assert 'href="javascript' not in text
    assert text.count("<script>") == text.count("</script>") == 1


def test_nothing_comes_from_elsewhere(project_matrix: Matrix) -> None:
    text = page(catalogue(project_matrix))
    assert not re.findall(r"\bsrc=|<link|@import|url\(|\bon[a-z]+=|style=", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    assert html.unescape(policy[1]).startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]


@pytest.mark.parametrize(
    ("reference", "address"),
    [
        ("sgl-project/sglang#23581", "https://github.com/sgl-project/sglang/issues/23581"),
        ("https://example.org/a?b=c#d", "https://example.org/a?b=c#d"),
        ("intellikit#173", None),
        ("javascript:alert(1)", None),
        ("http://example.org", None),
    ],
)
def test_a_reference_leads_to_a_place_that_it_names(reference: str, address: str | None) -> None:
    assert address_of(reference) == address


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (12_450_000_000, "12.4 GB")],
)
def test_sizes_are_readable(size: int, words: str) -> None:
    assert bytes_in_words(size) == words


def test_an_empty_catalogue_has_a_page() -> None:
    assert "No image has been published yet." in page(merged(None, [], FIRST))


def test_the_verb_writes_the_page(project_matrix: Matrix, tmp_path: Path) -> None:
    source = tmp_path / "catalogue.json"
    write(source, catalogue(project_matrix))
    arguments = [
        "catalogue",
        "--from",
        str(source),
        "--output",
        str(tmp_path / "site"),
        "--unverified",
    ]
    listed = catalogue(project_matrix)
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    written = tmp_path / "site" / "catalogue.html"
    assert written.read_text() == page(listed)
    # With the bill of one image beside it, and that of an image which it does not show.
    mine = listed.images[0].digest
    for digest in (mine, f"sha256:{'0' * 64}"):
        bills.keep(tmp_path / "site", digest, {"components": []})
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert written.read_text() == page(listed, bills=[mine])


def test_a_bill_beside_the_page_is_linked_for_its_own_image_alone(project_matrix: Matrix) -> None:
    listed = catalogue(project_matrix)
    mine = listed.images[1]
    assert "cdx.json" not in page(listed).replace("sbom.cdx.json", "")
    articles = page(listed, bills=[mine.digest]).split("<article ")[1:]
    link = f'href="sboms/{mine.digest.removeprefix("sha256:")}.cdx.json" download'
    assert [link in article for article in articles] == [
        image.digest == mine.digest for image in listed.images
    ]
