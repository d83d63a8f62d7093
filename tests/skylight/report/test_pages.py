"""Figures, times and parameters of a page."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skylight import plotting
from skylight.errors import InputError
from skylight.report.chapter import Chapter, Words
from skylight.report.pages import chapter_of, duration, groups, pictures_of, read_times, render, section_text
from skylight.report.pipeline import Stage

STAGE = Stage("stars-figures", "python -m stages.stars.figures", (), ("out/figures",), (), ())
REPORT = Stage("report", "python -m stages.report.build", ("params.yaml", "out/figures"), ("out/report",), (), ())


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "wrong/1", "wrong/2"):
        plotting.save(plt.figure(figsize=(2, 1)), f"out/figures/{name}.png")
    Path("out/figures/notes.txt").write_text("not a picture")
    return pictures_of(REPORT, [STAGE, REPORT])


def test_figures_are_the_dependencies_of_the_report_with_the_stage_that_made_them(pictures):
    assert [str(p.path) for p in pictures] == [f"out/figures/{n}.png" for n in ("a", "b", "wrong/1", "wrong/2")]
    assert {p.stage for p in pictures} == {STAGE}
    assert pictures[0].size == (320, 160) and pictures[0].uri.startswith("data:image/png;base64,iVBOR")


def test_a_file_that_is_not_a_png_image_is_an_error_with_its_name(pictures):
    Path("out/figures/a.png").write_text("text")
    with pytest.raises(InputError, match=r"out/figures/a\.png: not a PNG image"):
        _ = pictures[0].size


def test_figures_have_the_order_of_the_parts_and_the_others_come_last(pictures):
    figures = {"out/figures/b.png": "of *b*", "out/figures/absent.png": "c", "out/figures/wrong": "the wrong ones"}
    chapter = Chapter(title="Stars", parts=[{"title": "One", "figures": figures}, {"title": "None", "figures": {}}])
    one, more = groups(chapter, pictures, Words("report.yaml", {}, ""))
    assert one.title == "One" and [(str(p.path), p.caption) for p in one.pictures] == [
        ("out/figures/b.png", "of <em>b</em>")
    ]
    [(name, caption, inside)] = one.folders
    assert (name, caption, len(inside)) == ("wrong", "the wrong ones", 2)
    assert more.title == "More figures" and [Path(p.path).name for p in more.pictures] == ["a.png"]


def test_names_of_files_are_escaped(pictures):
    name = 'out/figures/"><svg onload=alert(1)>{{ 7 * 7 }}.png'
    Path("out/figures/a.png").rename(name)
    chapter = chapter_of("stars", Chapter(title="<b>"), [STAGE, REPORT], {}, "", {})
    assert len(chapter["groups"][0].pictures) == 4
    page = render([chapter])["stars.html"]
    assert "<svg onload" not in page and "<b>" not in page and "&lt;svg onload=alert(1)&gt;{{ 7 * 7 }}.png" in page
    assert page.count('"&gt;') == 0


def test_times_are_read_and_formatted(tmp_path):
    path = tmp_path / "stages.csv"
    header = "stage,seconds,processor_seconds,peak_memory_mib,machine"
    path.write_text(f"{header}\nstars-figures,125.4,201.5,300,two cores\n")
    times = read_times(path)["stars-figures"]
    assert times["processor_seconds"] == 201.5
    path.write_text(f"{header}\nstars-figures,125.4,,300,two cores\n")
    assert np.isnan(read_times(path)["stars-figures"]["processor_seconds"])
    assert times["machine"] == "two cores" and duration(times["seconds"]) == "2 min 5 s"
    assert [duration(seconds) for seconds in (8.26, 59.94, 3600, 4805)] == [
        "8.3 s",
        "59.9 s",
        "1 h 0 min",
        "1 h 20 min",
    ]
    path.write_text(f"{header}\nstars-figures,fast,1,300,two cores\n")
    with pytest.raises(InputError, match=r"stages\.csv line 2: "):
        read_times(path)
    path.write_text("stage,time\n")
    with pytest.raises(InputError, match=f"the columns must be {header}"):
        read_times(path)


def test_the_text_of_a_section_contains_its_comments():
    text = "# all\n\nstars:\n  a: 1  # published: 2\n\n  # of b\n  b: 3\n\nmoons:\n  a: 1\n"
    assert section_text(text, "stars") == "stars:\n  a: 1  # published: 2\n\n  # of b\n  b: 3"
    assert section_text(text, "moons") == "moons:\n  a: 1" and section_text(text, "a") == ""
