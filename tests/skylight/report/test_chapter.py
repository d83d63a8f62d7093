"""The texts of a chapter, and the numbers that it reads from outputs."""

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


def test_numbers_are_read_from_the_file_and_a_missing_one_is_a_dash(chapter):
    rows = table_cells(chapter.tables[0], Words("report.yaml", SETTINGS, "stars"))
    assert rows == [
        ("stars", "9,126", "1,369"),
        ("F1 of <em>RS CVn</em>", "", "0.732 ± 0.040"),
        ("forest", "0.5", "–"),
    ]


def test_a_number_of_a_csv_table_is_found_by_row_and_column(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("model,metric,value\nsaliency,r,0.76\ncontrol,r,0.59\ncontrol,note,\n")
    assert value(path, "value", {"model": "control", "metric": "r"}) == 0.59
    assert value(path, "model", {"metric": "note"}) == "control"
    for absent in ({"model": "vgg"}, {"metric": "note"}):
        assert value(path, "value", absent) is None
    assert value(tmp_path / "absent.json", "a") is None


def test_numbers_are_formatted():
    assert shown(1369.0, ",d") == "1,369" and shown(0.99451, ".2%") == "99.45%"
    assert shown("xception", ".3f") == "xception"


def test_placeholders_are_filled_in_and_html_is_escaped(metrics):
    words = Words("report.yaml", SETTINGS, "{{ params.stars.number }} *stars*")
    text = f"Of {{{{ survey }}}}: {{{{ value('{metrics}', 'cnn.error', '.1f') }}}} <b>"
    assert words.inline(text) == "Of 12 <em>stars</em>: 0.0 &lt;b&gt;"
    assert words.block("a\n\nb") == "<p>a</p>\n<p>b</p>\n"
    with pytest.raises(InputError, match=r"report\.yaml: .*'epochs'.*\(in: \{\{ params\.stars\.epochs \}\}\)"):
        words.inline("{{ params.stars.epochs }}")
    with pytest.raises(InputError, match=r"report\.yaml: "):
        words.inline("{{ params.")


def test_only_simulated_data_are_called_simulated(chapter):
    assert survey("stars", chapter, SETTINGS) == "{{ params.stars.number }} simulated stars"
    assert survey("stars", chapter, {"stars": {"data": {"path": "data/catalina"}}}) == "`data/catalina`"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: [", "report.yaml line 1: not valid YAML"),
        ("title: A\nquestion: B\ntitle: C", "report.yaml line 3: not valid YAML: title twice"),
        ("title: S\nparts:\n- title: P\n  figures: {a.png: A, a.png: B}", "report.yaml line 4: .* a.png twice"),
        ("titel: Stars", r"report.yaml: title: missing\n.*report.yaml: titel: unknown key"),
        ("title: S\ntables:\n  - {title: T, file: f, rows: [{label: a}]}", "report.yaml: tables.0.rows.0.key: missing"),
        ("title: S\nparts: [{title: P, figures: {a.png: 3}}]", "parts.0.figures.a.png: must be a text, got 3"),
    ],
)
def test_a_faulty_file_is_an_error_that_names_the_file_and_the_key_or_line(tmp_path, text, message):
    (tmp_path / "report.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_chapter(tmp_path / "report.yaml")


def test_a_chapter_without_a_file_has_the_name_of_its_folder(tmp_path):
    assert read_chapter(tmp_path / "moons" / "report.yaml").title == "moons"
