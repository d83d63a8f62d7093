"""The texts of a chapter, and the numbers that it reads from outputs."""

import json

import pytest
from markupsafe import Markup

from skylight.errors import InputError
from skylight.report.chapter import Words, code_span, read_chapter, real_data, shown, table_cells, value

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


def test_what_needs_a_setting_is_left_out_without_it(tmp_path):
    """The outputs of an earlier run with other settings may still be there."""
    text = GOOD.replace("key: forest.accuracy", "key: forest.accuracy, needs: stars.surveys.ptf") % "a.json"
    (tmp_path / "report.yaml").write_text(text + "parts: [{title: Others, needs: stars.surveys}, {title: All}]\n")
    chapter = read_chapter(tmp_path / "report.yaml")

    def left(stars: dict) -> tuple[int, list[str]]:
        found = chapter.with_settings({"stars": stars})
        return len(found.tables[0].rows), [part.title for part in found.parts]

    assert left({"surveys": {"ptf": {"path": "x"}}}) == (3, ["Others", "All"])
    assert left({"surveys": {"ztf": {"path": "x"}}}) == (2, ["Others", "All"])
    assert left({"surveys": {}}) == left({}) == (2, ["All"])


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
    assert real_data("stars", SETTINGS) is None
    assert Words("report.yaml", SETTINGS, chapter.simulated).survey == "12 simulated stars"
    path = real_data("stars", {"stars": {"data": {"path": "data/catalina"}}})
    assert Words("report.yaml", SETTINGS, chapter.simulated, path).survey == "<code>data/catalina</code>"


HOSTILE = [
    "data/{{ 7 * 7 }}",
    "{{ params.__class__.__mro__ }}",
    "{% for i in range(9) %}x{% endfor %}",
    "<svg onload=alert(1)>",
    "a`b``c",
    "*a* [b](https://c.org) ![d](e.png)",
    "&lt;b&gt; \\* <https://c.org>",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_parameters_paths_and_outputs_are_data_and_shown_as_they_are(text, tmp_path):
    (tmp_path / "m.json").write_text(json.dumps({"text": text}))
    words = Words("report.yaml", {"text": text}, "stars", text)
    assert words.survey == Markup("<code>{}</code>").format(text)
    assert words.inline("of {{ survey }}") == "of " + words.survey
    assert words.inline("of {{ params.text }}!") == Markup("of {}!").format(text)
    assert words.inline(f"of {{{{ value('{tmp_path}/m.json', 'text') }}}}") == Markup("of {}").format(text)
    assert Words("report.yaml", {"text": text}, "of {{ params.text }}").survey == Markup("of {}").format(text)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ value.__globals__ }}",
        "{{ params.update(a=1) }}",
        "{{ 1 / 0 }}",
    ],
)
def test_a_template_cannot_leave_its_box(template):
    with pytest.raises(InputError, match=r"^report\.yaml: .*\(in: "):
        Words("report.yaml", SETTINGS, "").inline(template)


def test_a_span_of_code_has_no_end_inside():
    assert code_span("a") == "`a`" and code_span("a`b") == "`` a`b ``" and code_span("a\n``b") == "``` a ``b ```"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: [", "report.yaml line 1: not valid YAML"),
        ("title: A\nquestion: B\ntitle: C", "report.yaml line 3: not valid YAML: title twice"),
        ("title: S\nparts:\n- title: P\n  figures: {a.png: A, a.png: B}", "report.yaml line 4: .* a.png twice"),
        ("titel: Stars", r"report.yaml: title: missing\n.*report.yaml: titel: unknown key"),
        ("title: S\ntables:\n  - {title: T, file: f, rows: [{label: a}]}", "report.yaml: tables.0.rows.0.key: missing"),
        ("title: S\npaper: {text: a, url: 'javascript:1'}", "report.yaml: paper.url: "),
        ("title: S\nparts: [{title: P, figures: {a.png: 3}}]", "parts.0.figures.a.png: must be a text, got 3"),
    ],
)
def test_a_faulty_file_is_an_error_that_names_the_file_and_the_key_or_line(tmp_path, text, message):
    (tmp_path / "report.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read_chapter(tmp_path / "report.yaml")


def test_a_chapter_without_a_file_has_the_name_of_its_folder(tmp_path):
    assert read_chapter(tmp_path / "moons" / "report.yaml").title == "moons"
