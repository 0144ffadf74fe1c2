"""The catalogue's page in a real Chromium: what people see, press and copy."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from four_cells import MATRIX
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from made_up_catalogue import SECOND, catalogue, entry
from rehearsal.unpacked_programs import browser as unpacked_browser
from rocm_images.catalogue.merge import merged
from rocm_images.catalogue.page import page as rendered
from rocm_images.catalogue.verifying import cosign_commands, pull_command
from rocm_images.plan.cells import cells_of
from rocm_images.servers import DEFAULT, SERVERS, server_of

PROJECT = Path(__file__).resolve().parent.parent.parent
SCREENSHOTS = PROJECT / "build" / "screenshots"
CATALOGUE = catalogue(MATRIX)
IMAGES = {
    (image.arch, image.rocm): image
    for image in CATALOGUE.images
    if server_of(image.server) is DEFAULT
}
NARROW, WIDE = {"width": 360, "height": 740}, {"width": 1280, "height": 900}

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "catalogue.html"
    path.write_text(rendered(CATALOGUE))
    return path.as_uri()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = unpacked_browser()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program.path, env={**os.environ, **program.environment}
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, address: str) -> Iterator[Open]:
    """Opens the page; afterwards nothing but it was asked for, and nothing was complained of."""
    contexts: list[BrowserContext] = []
    requests: list[str] = []
    complaints: list[str] = []
    opened: set[str] = set()

    def open_it(fragment: str = "", *, at: str = address, **options: object) -> Page:
        context = chromium.new_context(**{"viewport": WIDE, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        opened.add(at)
        page.goto(at + fragment)
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert {url.partition("#")[0] for url in requests} <= opened
    assert complaints == []


def gpu(page: Page, name: str) -> None:
    page.get_by_role("group", name="Your GPU").get_by_label(name).check()


def rocm(page: Page, version: str) -> None:
    page.get_by_role("group", name="ROCm").get_by_label(version).check()


def command(page: Page) -> str:
    """The command of the one image that is shown."""
    shown = page.locator("article:visible")
    expect(shown).to_have_count(1)
    return shown.locator(".run pre").inner_text()


@pytest.mark.parametrize(
    ("name", "arch"),
    [("AMD Instinct MI325X", "942"), ("AMD Instinct MI350X", "950")],
)
@pytest.mark.parametrize("version", ["7.2.0", "7.2.2"])
def test_the_choice_of_gpu_and_rocm_changes_the_command(
    open_page: Open, name: str, arch: str, version: str
) -> None:
    page = open_page()
    gpu(page, name)
    rocm(page, version)
    assert f"@{IMAGES[arch, version].digest} " in command(page)
    expect(page.get_by_role("status").first).to_contain_text(name)


def test_the_recommended_image_is_shown_first(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_role("radio", name="AMD Instinct MI300X")).to_be_checked()
    assert IMAGES["942", "7.2.2"].digest in command(page)


def test_the_keyboard_alone_reaches_the_choice_the_button_and_the_issues(open_page: Open) -> None:
    page = open_page()
    press = page.keyboard.press
    press("Tab")
    expect(page.get_by_text("Skip to the images")).to_be_focused()
    press("Tab")
    expect(page.get_by_role("radio", name="AMD Instinct MI300X")).to_be_focused()
    press("ArrowDown")
    press("ArrowDown")
    expect(page.get_by_role("radio", name="AMD Instinct MI350X")).to_be_checked()
    press("Tab")
    press("ArrowDown")
    expect(page.get_by_role("radio", name="7.2.0")).to_be_checked()
    assert IMAGES["950", "7.2.0"].digest in command(page)
    press("Tab")
    expect(page.get_by_role("radio", name=DEFAULT.title)).to_be_focused()
    press("Tab")
    expect(page.get_by_role("radio", name=IMAGES["950", "7.2.0"].version)).to_be_focused()
    press("Tab")
    expect(page.get_by_role("link", name="the image on ROCm 7.2.2")).to_be_focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    press("Tab")
    expect(page.get_by_role("button", name="Copy the check", exact=True)).to_be_focused()
    press("Tab")
    press("Enter")
    shown = page.locator("article:visible")
    expect(shown.locator("details").first).to_have_attribute("open", "")
    press("Tab")
    expect(page.get_by_role("button", name="Copy both checks")).to_be_focused()
    press("Tab")
    expect(shown.get_by_text("What it holds")).to_be_focused()
    press("Tab")
    expect(page.get_by_role("button", name="Copy the command")).to_be_focused()
    press("Tab")
    press("Enter")
    expect(shown.locator("details").last).to_have_attribute("open", "")
    expect(shown.get_by_role("link", name="sgl-project/sglang#23581")).to_be_visible()


def test_the_button_copies_the_command_that_is_shown(open_page: Open) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    gpu(page, "AMD Instinct MI355X")
    page.get_by_role("button", name="Copy the command").click()
    expect(page.locator("article:visible .run").get_by_role("status")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == command(page)
    assert copied.startswith("docker run --rm \\\n  --device /dev/kfd \\\n")


def test_the_checks_are_copied_each_by_its_own_button(open_page: Open) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    gpu(page, "AMD Instinct MI355X")
    shown = page.locator("article:visible")
    shown.get_by_text("With cosign alone", exact=True).click()
    image = IMAGES["950", "7.2.2"]
    for button, copied in (
        ("Copy the check", pull_command(image)),
        ("Copy both checks", cosign_commands(image)),
    ):
        shown.get_by_role("button", name=button, exact=True).click()
        said = shown.locator(".command", has=page.get_by_role("button", name=button, exact=True))
        expect(said.get_by_role("status")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == copied


def test_where_the_clipboard_refuses_the_command_is_selected(open_page: Open) -> None:
    page = open_page()
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); }"
    )
    page.get_by_role("button", name="Copy the command").click()
    expect(page.locator("article:visible .run").get_by_role("status")).to_contain_text("Ctrl+C")
    assert page.evaluate("getSelection().toString()").strip() == command(page)


def test_the_address_remembers_the_image_and_leads_to_it(open_page: Open) -> None:
    page = open_page()
    gpu(page, "AMD Instinct MI350X")
    rocm(page, "7.2.0")
    tag = IMAGES["950", "7.2.0"].immutable_tag
    assert page.url.endswith(f"#{tag}")
    again = open_page(f"#{tag}")
    assert IMAGES["950", "7.2.0"].digest in command(again)
    expect(again.get_by_role("radio", name="AMD Instinct MI350X")).to_be_checked()


def test_the_channel_can_be_chosen_where_there_are_several(open_page: Open, address: str) -> None:
    cells = cells_of(MATRIX)
    stable = [
        entry(cell, build="0", channel="stable")
        for cell in cells
        if cell.recommended and cell.server is DEFAULT
    ]
    path = Path(address.removeprefix("file://")).with_name("channels.html")
    path.write_text(rendered(merged(CATALOGUE, stable, SECOND)))
    page = open_page(at=path.as_uri())
    gpu(page, "AMD Instinct MI350X")
    expect(page.get_by_role("radio", name="stable")).to_be_checked()
    assert stable[1].digest in command(page)
    page.get_by_role("radio", name="preview").check()
    assert IMAGES["950", "7.2.2"].digest in command(page)
    page.get_by_role("radio", name="stable").check()
    # On this ROCm there is a preview alone: it is offered, and the other is not.
    rocm(page, "7.2.0")
    expect(page.get_by_role("radio", name="stable")).to_be_disabled()
    assert IMAGES["950", "7.2.0"].digest in command(page)


@pytest.mark.parametrize("name", SERVERS)
def test_the_choice_of_the_server_changes_the_command(open_page: Open, name: str) -> None:
    page = open_page()
    page.get_by_role("group", name="Server").get_by_label(SERVERS[name].title).check()
    (image,) = (
        image
        for image in CATALOGUE.images
        if (image.server, image.arch, image.rocm) == (name, "942", "7.2.2")
    )
    assert image.digest in command(page)
    versions = page.get_by_role("group", name="Version").get_by_role("radio")
    expect(versions).to_have_count(1)
    expect(versions).to_have_value(image.version)
    assert f" --publish 127.0.0.1:{SERVERS[name].port}:" in command(page)


def test_a_row_of_the_table_leads_to_its_image(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("link", name=IMAGES["950", "7.2.2"].tags[0], exact=True).click()
    # The browser tells the page of the new address a moment after the click.
    shown = page.locator("article:visible")
    expect(shown.locator(".run pre")).to_contain_text(IMAGES["950", "7.2.2"].digest)
    expect(shown).to_be_focused()
    assert IMAGES["950", "7.2.2"].digest in command(page)


def test_without_javascript_every_image_can_be_read_below_a_table(open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    expect(page.locator("article:visible")).to_have_count(len(CATALOGUE.images))
    expect(page.locator("form")).to_be_hidden()
    expect(page.get_by_role("button")).to_have_count(0)
    rows = page.locator("#table tbody tr")
    expect(rows).to_have_count(len(CATALOGUE.images))
    for row, image in zip(rows.all(), CATALOGUE.images, strict=True):
        expect(row).to_contain_text(image.tags[0])
        expect(page.get_by_text(image.reference).first).to_be_visible()
    assert (
        page.locator("#table").bounding_box()["y"]
        < page.locator("article").first.bounding_box()["y"]
    )


def test_a_stand_in_is_called_one_before_its_command(open_page: Open) -> None:
    page = open_page()
    gpu(page, "AMD Instinct MI350X")
    rocm(page, "7.2.0")
    shown = page.locator("article:visible")
    warning = shown.get_by_text("This is a stand-in.")
    assert warning.bounding_box()["y"] < shown.locator("pre").first.bounding_box()["y"]
    expect(shown).to_contain_text("no GPU has run this image")
    rocm(page, "7.2.2")
    expect(page.locator("article:visible")).not_to_contain_text("tand-in")


@pytest.mark.parametrize("width", [390, 768])
def test_every_tag_is_on_a_narrow_screen_and_no_table_scrolls_sideways(
    open_page: Open, width: int
) -> None:
    page = open_page(viewport={"width": width, "height": 844})
    rows = page.get_by_role("region", name="All images").get_by_role("row")
    # The heads of the columns are rows, too, and read aloud where they are not shown.
    expect(rows).to_have_count(len(CATALOGUE.images) + 1)
    for link in page.locator("#table tbody th a").all():
        box = link.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    region = page.get_by_role("region", name="All images")
    assert region.evaluate("it => it.scrollWidth <= it.clientWidth")
    # Only what is read aloud has the maker's name.
    assert "AMD Instinct MI300X" in page.locator("#table tbody td").first.text_content()
    assert page.locator("#table .maker").first.bounding_box()["width"] <= 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [NARROW, WIDE], ids=["narrow", "wide"])
def test_it_fits_and_is_accessible(open_page: Open, scheme: str, viewport: dict[str, int]) -> None:
    page = open_page(color_scheme=scheme, viewport=viewport, reduced_motion="reduce")
    name = f"{scheme}-{viewport['width']}"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    gpu(page, "AMD Instinct MI350X")
    rocm(page, "7.2.0")
    for summary in page.locator("summary:visible").all():
        summary.click()
    page.screenshot(path=SCREENSHOTS / f"{name}-open.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") == viewport["width"]
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    luminance = page.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = [int(number) for number in luminance.removeprefix("rgb(").rstrip(")").split(",")]
    assert (sum(channels) > 3 * 128) is (scheme == "light")
