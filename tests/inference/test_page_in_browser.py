"""The page in Chromium: what a person does on it. Skipped where Debian's `chromium` is not installed."""

import shutil
from pathlib import Path

import pytest
from tests.inference.serving import serving

from unfreeze.inference.served_run import served_runs

CHROMIUM = shutil.which("chromium")
WAIT = 120_000
"""Milliseconds, on a slow machine."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def address(series, tmp_path_factory):
    out = tmp_path_factory.mktemp("series") / "small"
    shutil.copytree(series, out, ignore=shutil.ignore_patterns("checkpoints", "tensorboard"))
    (out / "report.html").write_text("<title>the report</title>")
    runs = [out / "experiments" / name / "seed-0" for name in ("model_3", "model_0")]
    for run in served_runs(runs):
        run.prepare()  # which takes long
    with serving(runs, tmp_path_factory.mktemp("uploads")) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(request, browser, address):
    """The page, opened; fails if anything was logged as an error or asked from elsewhere."""
    page = browser.new_page(viewport={"width": request.param, "height": 844})
    page.set_default_timeout(WAIT)
    wrong = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda failed: wrong.append(f"{failed.url}: {failed.failure}"))
    page.on("response", lambda answer: wrong.append(answer.url) if answer.status >= 400 else None)
    page.on("request", lambda sent: wrong.append(sent.url) if not sent.url.startswith(_here(address)) else None)
    page.goto(address)
    yield page
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.close()
    # streams of events are cut when the page is closed
    assert [each for each in wrong if "ERR_ABORTED" not in each] == []
    assert wide <= 0, "the page is wider than the window"


def _here(address):
    return (address, "data:", "blob:")


def give(page, file):
    page.set_input_files("#photo input[type=file]", file)


def test_two_models_on_one_photo(page, solar_cells):
    give(page, sorted((solar_cells / "defective").iterdir())[0])
    page.wait_for_selector("#answer-beside .uf-bars")
    for answer in ("#answer", "#answer-beside"):
        assert page.locator(f"{answer} .uf-bars li").count() == 2
        assert "Where the model looked" in page.locator(f"{answer} figcaption").inner_text()
        assert page.locator(f"{answer} img").evaluate("picture => picture.naturalWidth") > 0
    page.locator("#beside input").click()
    page.get_by_role("option", name="(none)").click()
    page.wait_for_selector("#answer-beside .uf-bars", state="detached")
    assert page.locator("#answer .uf-bars li").count() == 2


def test_a_wrong_file(page, solar_cells, tmp_path):
    photo = sorted((solar_cells / "defective").iterdir())[0]
    (tmp_path / "half.png").write_bytes(photo.read_bytes()[:500])
    give(page, tmp_path / "half.png")
    page.wait_for_selector("#answer .uf-sentence")
    assert page.locator("#answer").inner_text().startswith("This file can't be decoded")


def test_browsing(page):
    page.get_by_role("tab", name="Photos").click()
    page.wait_for_selector("#shelf .uf-card")
    first = page.locator("#shelf").inner_text()
    assert "✓ right" in first or "✗ wrong" in first
    page.locator("#split input").click()
    page.get_by_role("option", name="train").click()
    page.wait_for_function("text => document.querySelector('#shelf').innerText != text", arg=first)
    page.locator("#class input").click()
    page.get_by_role("option", name="functional").click()
    page.wait_for_function(
        "[...document.querySelectorAll('#shelf .uf-card')].every(card => card.innerText.includes('functional/'))"
    )
    assert "1 to 6 of" in page.locator("#shelf").inner_text()
    page.get_by_role("button", name="Next").locator("visible=true").click()
    page.wait_for_function("document.querySelector('#shelf').innerText.includes('7 to 12 of')")
    page.get_by_role("button", name="Random photos").click()
    page.wait_for_function("document.querySelector('#shelf').innerText.includes('drawn at random')")
    assert page.locator("#shelf .uf-card").count() == 6


def test_mistakes_and_comparison(page, address):
    page.get_by_role("tab", name="Mistakes").click()
    page.wait_for_selector("#mistakes .uf-card, #mistakes .uf-sentence")
    page.get_by_role("tab", name="Compare").click()
    page.wait_for_selector("#comparison table")
    assert "How did it go?" in page.locator("#comparison").inner_text()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open the report").click()
    assert opened.value.title() == "the report"
    assert opened.value.url == f"{address}/report/0"
    opened.value.close()


def test_pasting_and_the_camera_are_offered(page):
    for offered in ("Upload file", "Capture from camera", "Paste from clipboard"):
        page.wait_for_selector(f"#photo button[aria-label='{offered}']", timeout=20_000)


def test_the_upload_folder_holds_uploads_alone(address, tmp_path_factory):
    for folder in tmp_path_factory.getbasetemp().glob("uploads*"):
        assert {file.suffix for file in Path(folder).rglob("*") if file.is_file()} <= {".png"}
