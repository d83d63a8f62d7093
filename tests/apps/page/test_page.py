"""The page in Chromium, at the widths of a desktop and of a phone, before the real service."""

import io
import json
import threading

import numpy as np
import pytest
from PIL import Image

from tests.apps.page.conftest import holding_back, showing
from tests.apps.service.conftest import noise, saved
from tests.servers import free_port

pytestmark = pytest.mark.slow

PHONE, DESKTOP = 375, 1280
WAIT = 60_000  # milliseconds; the first explanation compiles the network


class Visit:
    """A visit to the page: what it asked for and complained about, and the steps that tests share."""

    def __init__(self, browser, url: str, width: int):
        self.page, self.faults, self.asked = browser.new_page(viewport={"width": width, "height": 900}), [], []
        self.page.set_default_timeout(WAIT)
        kinds = ("error", "warning")
        self.page.on("console", lambda message: self.faults.append(message.text) if message.type in kinds else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)

    def choose(self, label: str, option: str) -> None:
        """Choose an option of a list."""
        self.page.get_by_role("combobox", name=label, exact=True).click()
        self.page.get_by_role("option", name=option, exact=True).click()
        self.settled()

    def drop(self, *files: tuple[str, bytes]) -> None:
        """Choose files of one's own."""
        own = [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
        self.page.locator("input[type=file]").set_input_files(own)

    def settled(self) -> None:
        """Wait until the script of the page has run."""
        self.page.wait_for_timeout(300)
        self.page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()

    def explained(self) -> None:
        """Wait for the end of the explanation."""
        self.page.get_by_role("heading", name="How far to trust this").wait_for()
        self.settled()

    def sources(self) -> list[str]:
        """Return the addresses of the pictures, once they are loaded; Streamlit names them by content."""
        self.page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth)")
        return self.page.eval_on_selector_all("img", "images => images.map(image => image.src)")

    def check(self) -> None:
        """Check accessibility, width and requests."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        assert not found, [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]
        width = self.page.viewport_size["width"]
        assert self.page.evaluate("document.documentElement.scrollWidth") <= width
        overflow = self.page.evaluate(
            "[...document.querySelectorAll('[data-testid=stMain] :is(p, table, td, th, img, button, label, h1, h2)')]"
            ".filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
        )
        assert not overflow, overflow
        host = self.page.evaluate("location.host")
        foreign = [url for url in self.asked if not url.startswith(("data:", "blob:")) and f"//{host}/" not in url]
        assert not foreign, foreign
        assert not self.faults, self.faults


@pytest.fixture
def visit(chromium, address):
    visits = []

    def start(width: int = DESKTOP, network: str = "metallicity", url: str = address) -> Visit:
        visits.append(Visit(chromium, url, width))
        if url == address:
            visits[-1].page.get_by_role("combobox", name="Network").wait_for()
            visits[-1].choose("Network", network)
        return visits[-1]

    yield start
    for each in visits:
        each.page.close()


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_a_dropped_file_is_answered_and_explained(visit, width):
    here = visit(width)
    here.check()
    here.drop(("galaxy.png", saved(noise(0))))
    here.explained()
    page = here.page
    assert page.get_by_role("heading", level=1).all_inner_texts() == ["What does the network see?"]
    assert page.get_by_role("heading", level=2).all_inner_texts() == ["The answer", "Why", "How far to trust this"]
    assert page.get_by_text("This is no diagnosis and no medical device").is_visible()
    shares = page.locator("table.bars tbody tr").all_inner_texts()
    assert len(shares) == 2 and all("%" in share for share in shares)
    alts = page.eval_on_selector_all("img", "images => images.map(image => image.alt)")
    assert alts[0] == "galaxy.png, as the network sees it" and "orange parts are evidence for it" in alts[1]
    assert len(here.sources()) == len(alts) == 2
    here.check()


def test_the_switches_change_the_map_and_not_the_picture(visit):
    here = visit()
    here.drop(("galaxy.png", saved(noise(1))))
    here.explained()
    picture, first = here.sources()
    here.page.get_by_role("radio", name="against", exact=True).click()
    here.settled()
    against = here.sources()[1]
    by_class = {}
    for name in ("low", "high"):
        here.choose("Explain", name)
        by_class[name] = here.sources()[1]
    here.choose("Method", "saliency")
    saliency = here.sources()[1]
    assert against in by_class.values(), "one of the classes is the predicted one"
    assert len({first, saliency, *by_class.values()}) == 4 and here.sources()[0] == picture


def test_two_methods_are_side_by_side_with_downloads_of_their_own(visit):
    here = visit()
    here.drop(("galaxy.png", saved(noise(2))))
    here.explained()
    here.choose("Second method, beside it", "integrated gradients")
    here.explained()
    left, middle, right = (box.bounding_box() for box in here.page.locator("img").all())
    assert left["y"] == middle["y"] == right["y"] and left["x"] < middle["x"] < right["x"]
    here.check()
    files = {}
    for kind in ("PNG", "NPY", "JSON"):
        with here.page.expect_download() as download:
            here.page.get_by_role("button", name=f"{kind} of integrated gradients").click()
        files[kind] = download.value.path().read_bytes()
        assert download.value.suggested_filename == f"galaxy_integrated_gradients.{kind.lower()}"
    answer = json.loads(files["JSON"])
    values = np.load(io.BytesIO(files["NPY"]))
    assert list(values.shape) == answer["explanation"]["shape"] and values.dtype == np.float32
    assert values.sum(dtype=float) == pytest.approx(answer["explanation"]["sum"])
    assert answer["explanation"]["method"] == "integrated_gradients" and "images" not in answer
    assert Image.open(io.BytesIO(files["PNG"])).size[0] >= 224
    assert here.page.get_by_text("completeness gap").is_visible()


def test_of_several_files_the_good_ones_are_answered_and_the_others_named(visit):
    here = visit(PHONE)
    here.drop(("one.png", saved(noise(3))), ("text.png", b"this is no picture"), ("two.png", saved(noise(4))))
    here.explained()
    assert here.page.locator("table.rows").first.inner_text().startswith("2 of 3 files, by metallicity")
    alert = here.page.get_by_role("alert")
    assert alert.count() == 1 and alert.inner_text().startswith("text.png: ")
    here.check()
    with here.page.expect_download() as download:
        here.page.get_by_role("button", name="This table as CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "file,answer,probability" and [line.split(",")[0] for line in lines[1:]] == [
        "one.png",
        "two.png",
    ]
    here.choose("File to explain", "3. two.png")
    assert here.page.locator("img").first.get_attribute("alt") == "two.png, as the network sees it"


def test_a_file_that_is_no_picture_has_one_reason_and_nothing_else(visit):
    here = visit()
    here.drop(("text.png", b"this is no picture"))
    here.page.get_by_role("alert").wait_for()
    here.settled()
    assert here.page.get_by_role("alert").inner_text().startswith("text.png: ")
    assert "Traceback" not in here.page.content() and here.page.get_by_role("heading", level=2).count() == 0
    here.check()


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(visit, tmp_path):
    here = visit()
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(21 * 2**20)
    here.page.locator("input[type=file]").set_input_files(tmp_path / "large.png")
    here.page.get_by_text("File must be 20.0MB or smaller").wait_for()
    assert not [url for url in here.asked if "upload_file" in url]
    assert here.page.get_by_role("heading", level=2).count() == 0


def test_the_keyboard_is_enough(visit):
    here = visit()
    here.drop(("galaxy.png", saved(noise(5))))
    here.explained()
    page, reached = here.page, []
    page.evaluate("document.activeElement.blur()")
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "(e => e.getAttribute('aria-label') || e.labels?.[0]?.innerText || e.innerText)(document.activeElement)"
            )
        )
    words = [str(name).strip() for name in reached]
    order = ["Network", "Method", "Second method, beside it", "Explain", "PNG of HiResCAM", "JSON of HiResCAM"]
    assert [words.index(name) for name in order] == sorted(words.index(name) for name in order), words
    page.get_by_role("combobox", name="Second method, beside it").focus()
    page.keyboard.type("salie")
    page.keyboard.press("Enter")
    here.explained()
    assert len(here.sources()) == 3
    before = here.sources()
    page.get_by_role("slider", name="Opacity of the map (%)").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    here.settled()
    page.wait_for_timeout(500)
    here.settled()
    picture, *maps = here.sources()
    assert picture == before[0] and not set(maps) & set(before)


def test_work_under_way_is_shown(chromium, visit, server, tmp_path):
    released = threading.Event()
    released.set()
    with holding_back(server.url, released) as service, showing(service, tmp_path / "log") as url:
        here = visit(url=url)
        here.page.get_by_role("combobox", name="Network").wait_for()
        here.choose("Network", "metallicity")
        here.drop(("galaxy.png", saved(noise(6))))
        here.explained()
        released.clear()
        here.page.get_by_role("combobox", name="Method", exact=True).click()
        here.page.get_by_role("option", name="RISE", exact=True).click()
        here.page.get_by_text("RISE is at work").wait_for()
        assert here.page.locator("table.bars").is_visible()  # the answer does not wait for the map
        released.set()
        here.page.get_by_text("Map by RISE").wait_for()
        here.settled()
        assert not here.page.get_by_text("is at work").is_visible()


def test_missing_networks_are_named_with_the_command_that_makes_them(visit):
    here = visit()
    here.page.get_by_text("networks are not on this machine").click()
    assert here.page.get_by_text("dvc repro metallicity-regress").is_visible()
    here.check()


def test_a_service_that_is_down_is_one_message(chromium, visit, tmp_path):
    with showing(f"http://127.0.0.1:{free_port()}", tmp_path / "log") as url:
        here = visit(PHONE, url=url)
        here.page.get_by_role("alert").wait_for()
        assert "does not answer. Start it with make app" in here.page.get_by_role("alert").inner_text().replace("`", "")
        here.check()
