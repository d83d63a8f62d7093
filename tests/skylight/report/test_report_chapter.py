"""The words of a chapter, and the numbers it takes from outputs."""

import json

import pytest

from skylight.errors import InputError
from skylight.report.chapter import Words, read_chapter, shown, survey, table_cells, value

GOOD = """
title: Stars
simulated: "{{ params.stars.number }} simulated stars"
tables:
  - title: Test
    published: CRTS
    file: %s
    rows:
      - {label: stars, published: "9,126", key: objects, format: ",d"}
      - {label: F1 of *RS CVn*, key: cnn.f1.RS CVn, error: cnn.error}
      - {label: forest, published: "0.5", key: forest.accuracy}
"""
SETTINGS = {"stars": {"number": 12, "data": {"path": "data/simulated/stars"}}}


@pytest.fixture
def metrics(tmp_path):
    path = tmp_path / "test.json"
    path.write_text(json.dumps({"objects": 1369, "cnn": {"f1": {"RS CVn": 0.73171}, "error": 0.04}}))
    return path


@pytest.fixture
def chapter(tmp_path, metrics):
    path = tmp_path / "stars" / "report.yaml"
    path.parent.mkdir()
    path.write_text(GOOD % metrics)
    return read_chapter(path)


def test_numbers_are_those_of_the_file_and_a_dash_stands_for_what_is_not_there(chapter):
    rows = table_cells(chapter.tables[0], Words("report.yaml", SETTINGS, "stars"))
    assert rows == [
        ("stars", "9,126", "1,369"),
        ("F1 of <em>RS CVn</em>", "", "0.732 ± 0.040"),
        ("forest", "0.5", "–"),
    ]


def test_a_number_of_a_table_is_chosen_by_its_row_and_column(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("model,metric,value\nsaliency,r,0.76\ncontrol,r,0.59\ncontrol,note,\n")
    assert value(path, "value", {"model": "control", "metric": "r"}) == 0.59
    assert value(path, "model", {"metric": "note"}) == "control"
    for absent in ({"model": "vgg"}, {"metric": "note"}):
        assert value(path, "value", absent) is None
    assert value(tmp_path / "absent.json", "a") is None


def test_numbers_are_shown_as_the_format_says():
    assert shown(1369.0, ",d") == "1,369" and shown(0.99451, ".2%") == "99.45%"
    assert shown("xception", ".3f") == "xception"


def test_texts_are_filled_in_and_html_in_them_is_shown_as_text(metrics):
    words = Words("report.yaml", SETTINGS, "{{ params.stars.number }} *stars*")
    text = f"Of {{{{ survey }}}}: {{{{ value('{metrics}', 'cnn.error', '.1f') }}}} <b>"
    assert words.inline(text) == "Of 12 <em>stars</em>: 0.0 &lt;b&gt;"
    assert words.block("a\n\nb") == "<p>a</p>\n<p>b</p>\n"
    with pytest.raises(InputError, match=r"report\.yaml: .*'epochs'.*\(in: \{\{ params\.stars\.epochs \}\}\)"):
        words.inline("{{ params.stars.epochs }}")
    with pytest.raises(InputError, match=r"report\.yaml: "):
        words.inline("{{ params.")


def test_the_survey_is_named_a_simulation_only_if_it_is_one(chapter):
    assert survey("stars", chapter, SETTINGS) == "{{ params.stars.number }} simulated stars"
    assert survey("stars", chapter, {"stars": {"data": {"path": "data/catalina"}}}) == "`data/catalina`"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: [", "report.yaml line 1: not valid YAML"),
        ("titel: Stars", r"report.yaml: title: missing\n.*report.yaml: titel: unknown key"),
        ("title: S\ntables:\n  - {title: T, file: f, rows: [{label: a}]}", "report.yaml: tables.0.rows.0.key: missing"),
        ("title: S\nparts: [{title: P, figures: {a.png: 3}}]", "parts.0.figures.a.png: must be a text, got 3"),
    ],
)
def test_a_faulty_file_is_an_error_that_names_file_and_key(tmp_path, text, message):
    (tmp_path / "report.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_chapter(tmp_path / "report.yaml")


def test_a_chapter_without_words_is_called_by_its_name(tmp_path):
    assert read_chapter(tmp_path / "moons" / "report.yaml").title == "moons"
