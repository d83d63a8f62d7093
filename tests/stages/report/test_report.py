"""The report, made from the outputs in Git, and opened in Chromium at the widths of a desktop and of a phone."""

import re
import shutil
from pathlib import Path
from urllib.parse import urldefrag

import pytest
import yaml

from skylight.report.chapter import read_chapter
from skylight.report.pages import STAGE, pictures_of
from skylight.report.pipeline import made_by, read_stages
from tests.conftest import ROOT

pytestmark = pytest.mark.slow

PHONE, DESKTOP = 375, 1280
MOST = 10_000_000  # bytes of a page; a page of this size still opens at once


@pytest.fixture(scope="module")
def built(clone):
    clone = clone()
    clone.run("stages.report.build")
    return clone


@pytest.fixture(scope="module")
def stages():
    return read_stages(ROOT)


@pytest.fixture(scope="module")
def report(stages):
    return next(stage for stage in stages if stage.name == STAGE)


@pytest.fixture(scope="module")
def chapters(stages, report):
    """The chapters of the report, with their texts."""
    shown = {made_by(stages, dep) for dep in report.deps}
    names = {stage.chapter for stage in stages if stage in shown}
    return {name: read_chapter(ROOT / f"stages/{name}/report.yaml") for name in names}


def html(clone) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in sorted((clone.path / "out/report").iterdir())}


def test_there_are_an_index_page_and_one_page_per_chapter(built, chapters):
    pages = html(built)
    assert set(pages) == {"index.html", *(f"{name}.html" for name in chapters)} and "periodic.html" in pages
    assert all(len(page.encode()) < MOST for page in pages.values())
    assert all(f'href="{name}.html"' in pages["index.html"] for name in chapters)


def test_the_report_has_the_same_bytes_in_another_folder(built, clone):
    again = clone()
    again.run("stages.report.build")
    assert html(again) == html(built)


def test_dvc_makes_the_report_again_only_after_a_change(clone):
    clone = clone()
    assert clone.repro("-s", STAGE) == {STAGE}
    assert clone.repro("-s", STAGE) == set()
    page = clone.path / "stages/periodic/report.yaml"
    page.write_text(page.read_text().replace("title: Periodic variables", "title: Variables"))
    assert clone.repro("-s", STAGE) == {STAGE}
    assert "<h1>Variables</h1>" in html(clone)["periodic.html"]


def test_every_link_has_a_target(built):
    pages, folder = html(built), built.path / "out/report"
    ids = {name: set(re.findall(r'id="([^"]+)"', page)) for name, page in pages.items()}
    for name, page in pages.items():
        for link in set(re.findall(r'href="([^"]+)"', page)):
            target, anchor = urldefrag(link)
            if "://" in target:
                continue
            assert not target or (folder / target).exists(), f"{name}: {link}"
            assert not anchor or anchor in ids[target or name], f"{name}: {link}"


def test_every_figure_in_git_is_in_the_report(stages, report):
    """Stages write figures to folders whose names start with ``figures`` and do not cache them."""
    content = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    outs = [out for stage in content.values() for out in stage.get("do", stage).get("outs", [])]
    figures = [name for out in outs if isinstance(out, dict) for name in out if Path(name).name.startswith("figures")]
    held = [name for name in figures if (ROOT / name).exists()]
    assert held and set(held) <= set(report.deps)


def test_every_figure_has_a_caption_and_every_caption_a_figure(chapters, stages, report, monkeypatch):
    monkeypatch.chdir(ROOT)
    drawn = {str(picture.path) for picture in pictures_of(report, stages)}
    captions = {name for chapter in chapters.values() for part in chapter.parts for name in part.figures}
    assert not {p for p in drawn if p not in captions and str(Path(p).parent) not in captions}
    folders = {str(Path(path).parent) for path in drawn}
    assert not {name for name in captions if made_by(stages, name) and name not in drawn | folders}


def test_every_number_is_in_a_file_that_the_report_depends_on(built, chapters, stages, report):
    declared = tuple(report.deps)
    for chapter in chapters.values():
        files = {row.file or table.file for table in chapter.tables for row in table.rows}
        for file in files:
            assert made_by(stages, file), file
            assert any(file == dep or file.startswith(f"{dep}/") for dep in declared), file
    for name in chapters:
        assert '<td class="number">–</td>' not in html(built)[f"{name}.html"], name


def test_a_page_names_the_data_of_a_user_and_leaves_out_missing_figures(clone):
    """As after a run on a user's own survey without a transfer."""
    clone = clone()
    clone.change(**{"periodic.data.path": "data/catalina", "periodic.transfer.surveys": {}})
    shutil.move(clone.path / "out/periodic/figures/dmdt.png", clone.path / "out/periodic/figures/new.png")
    (clone.path / "out/periodic/figures/transfer.png").unlink()
    clone.run("stages.report.build")
    page = html(clone)["periodic.html"]
    assert "Data: <code>data/catalina</code>." in page and "simulated CRTS" not in page
    assert "More figures" in page and "<code>new.png</code>" in page and "Other surveys" not in page


def test_a_chapter_is_added_by_its_report_yaml_and_dependencies(clone):
    clone = clone()
    file = clone.path / "dvc.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    stage = {"cmd": "python -m stages.moons.weigh", "deps": ["params.yaml"], "outs": [{"out/moons/figures": None}]}
    stage["outs"][0]["out/moons/figures"] = {"cache": False}
    content["stages"]["moons-weigh"] = stage
    content["stages"][STAGE]["deps"].append("out/moons/figures")
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    shutil.copytree(clone.path / "out/periodic/figures_methods", clone.path / "out/moons/figures")
    (clone.path / "stages/moons").mkdir()
    words = "title: Moons\nparts: [{title: Masses, figures: {out/moons/figures/methods.png: All of them}}]\n"
    (clone.path / "stages/moons/report.yaml").write_text(words)
    clone.run("stages.report.build")
    pages = html(clone)
    assert (
        '<a href="moons.html">Moons</a>' in pages["periodic.html"]
        and 'href="moons.html#moons-weigh"' in pages["index.html"]
    )
    assert "Masses" in pages["moons.html"] and "All of them" in pages["moons.html"]


def test_a_faulty_report_yaml_is_an_error_of_one_line_and_the_last_report_is_kept(built):
    words = built.path / "stages/periodic/report.yaml"
    before, good = html(built), words.read_text()
    words.write_text(good.replace("question:", "queston:"))
    output = built.run("stages.report.build", fails=True)
    assert output.startswith("error: stages/periodic/report.yaml: queston: unknown key") and output.count("\n") == 1
    words.write_text(good.replace("params.periodic.train.epochs", "params.periodic.train.epoch"))
    output = built.run("stages.report.build", fails=True)
    assert output.startswith("error: stages/periodic/report.yaml: ") and "epoch" in output and output.count("\n") == 1
    words.write_text(good)
    assert html(built) == before


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_every_page_loads_without_errors_and_without_horizontal_scrolling(built, chromium, width):
    page = chromium.new_page(viewport={"width": width, "height": 800})
    faults, asked = [], []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for path in sorted((built.path / "out/report").glob("*.html")):
        asked.clear()
        page.goto(path.as_uri())
        page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
        images = page.evaluate(
            "Promise.all([...document.images].map(image => image.decode().then(() => 0, () => image.alt)))"
        )
        assert images and not any(images), f"{path.name}: {[alt for alt in images if alt]}"
        overflow = page.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1 &&"
            " !e.closest('.scroll, label')).map(e => e.outerHTML.slice(0, 80))"
        )
        scrolled = page.evaluate("document.documentElement.scrollWidth") - width
        assert scrolled <= 0 and not overflow, f"{path.name} at {width}: {scrolled} pixels, {overflow[:3]}"
        assert not faults, faults
        assert {url for url in asked if not url.startswith("data:")} == {path.as_uri()}, "asks for other files"
    page.close()


def test_a_click_enlarges_a_figure_and_the_page_does_not_scroll(built, chromium):
    page = chromium.new_page(viewport={"width": PHONE, "height": 800})
    page.goto((built.path / "out/report/periodic.html").as_uri())
    image = page.locator("figure img").first
    assert image.bounding_box()["width"] < PHONE
    image.click()
    assert image.bounding_box()["width"] == int(image.get_attribute("width")) > PHONE
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    page.close()
