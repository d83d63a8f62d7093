"""Stages as DVC resolves them, on a small pipeline."""

import re

import pytest
from dvc.repo import Repo

from skylight.errors import InputError
from skylight.report.pipeline import draw, grouped, made_by, read_stages

DVC = """
stages:
  stars-simulate:
    cmd: python -m stages.stars.simulate
    deps: [stages/stars/simulate.py]
    params: [stars.seed]
    outs: [data/stars]
  stars-transform:
    foreach: ${stars.surveys}
    do:
      cmd: python -m stages.stars.transform "\\${DVC_STAGE##*@}"
      deps: ["data/stars", "${item.path}"]
      outs: ["out/stars/${key}"]
  stars-figures:
    cmd: python -m stages.stars.figures
    deps: [data/stars, out/stars/ztf, out/stars/ptf]
    outs:
      - out/stars/figures:
          cache: false
  moons-weigh:
    cmd: python -m stages.moons.weigh
    outs: [out/moons]
"""
PARAMS = "stars:\n  seed: 0\n  surveys:\n    ztf: {path: raw/z}\n    ptf: {path: raw/p}\n"


@pytest.fixture
def stages(tmp_path):
    Repo.init(str(tmp_path), no_scm=True)
    (tmp_path / "dvc.yaml").write_text(DVC)
    (tmp_path / "params.yaml").write_text(PARAMS)
    return read_stages(tmp_path)


def test_foreach_and_placeholders_are_filled_in(stages):
    by_name = {stage.name: stage for stage in stages}
    assert list(by_name) == [
        *("stars-simulate", "stars-transform@ztf", "stars-transform@ptf", "stars-figures", "moons-weigh")
    ]
    ztf = by_name["stars-transform@ztf"]
    assert ztf.command == "python -m stages.stars.transform ztf" and ztf.script == "stages/stars/transform.py"
    assert ztf.deps == ("data/stars", "raw/z") and ztf.outs == ("out/stars/ztf",) and ztf.after == ("stars-simulate",)
    assert (ztf.chapter, ztf.group, ztf.step) == ("stars", "stars-transform", "transform@ztf")
    assert by_name["stars-simulate"].params == ("stars.seed",)


def test_the_stage_that_made_a_file_has_the_file_or_its_folder_as_output(stages):
    assert made_by(stages, "out/stars/figures/wrong/1.png").name == "stars-figures"
    assert made_by(stages, "out/stars/ptf").name == "stars-transform@ptf"
    assert made_by(stages, "out/stars") is None and made_by(stages, "out/stars/figures_more/1.png") is None


def test_stages_of_a_foreach_share_a_box_and_arrows_along_longer_paths_are_left_out(stages):
    boxes, arrows = grouped(stages)
    assert [stage.step for stage in boxes["stars-transform"]] == ["transform@ztf", "transform@ptf"]
    assert arrows == [("stars-simulate", "stars-transform"), ("stars-transform", "stars-figures")]


def test_boxes_are_inside_the_drawing_and_do_not_overlap(stages):
    svg = draw(stages, "stars.html")
    width, height = map(float, re.search(r'viewBox="0 0 (\S+) (\S+)"', svg).groups())
    found = re.findall(r'<rect x="(\S+)" y="(\S+)" width="(\S+)" height="(\S+)"', svg)
    rectangles = [tuple(map(float, numbers)) for numbers in found]
    assert len(rectangles) == 4 and svg.count("marker-end") == 2
    assert all(x >= 0 and y >= 0 and x + w <= width and y + h <= height for x, y, w, h in rectangles)
    for i, (x, y, w, h) in enumerate(rectangles):
        for x2, y2, w2, h2 in rectangles[:i]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    assert svg == draw(stages, "stars.html") and 'href="stars.html#stars-transform"' in svg and "ztf, ptf" in svg


def test_a_pipeline_that_dvc_cannot_read_is_an_error_with_the_name_of_the_file(tmp_path):
    with pytest.raises(InputError, match=r"dvc\.yaml: "):
        read_stages(tmp_path)
    Repo.init(str(tmp_path), no_scm=True)
    (tmp_path / "dvc.yaml").write_text("stages: [")
    with pytest.raises(InputError, match=r"dvc\.yaml: "):
        read_stages(tmp_path)
