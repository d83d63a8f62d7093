"""What the page says, word by word."""

import pytest

from apps.page import texts


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (0.5, "50.0 %"),
        (1.0, "100.0 %"),
        (0.0, "0.0 %"),
        (0.99996, "> 99.9 %"),
        (0.00004, "< 0.1 %"),
        (0.576, "57.6 %"),
        (None, "no number"),
    ],
)
def test_a_probability_does_not_say_more_than_it_is(probability, words):
    assert texts.percent(probability) == words


def test_bars_have_numbers_as_text_and_names_of_any_signs():
    made = texts.bars({"<b>real</b>": 0.25, "bogus": None}, "for <x>.png")
    assert "<b>" not in made and "&lt;b&gt;real" in made and "for &lt;x&gt;.png" in made
    assert '<td>25.0 %</td><td class="bar" aria-hidden="true"><div style="width:25.00%">' in made
    assert "<td>no number</td>" in made and made.count('<th scope="row">') == 2


def test_a_table_has_headers_for_rows_and_columns():
    made = texts.table(("file", "answer"), [("a&b.png", "real")], "1 of 2 files")
    assert made == (
        '<table class="rows"><caption>1 of 2 files</caption>'
        '<thead><tr><th scope="col">file</th><th scope="col">answer</th></tr></thead>'
        '<tbody><tr><th scope="row">a&amp;b.png</th><td>real</td></tr></tbody></table>'
    )


def test_csv_quotes_what_needs_it():
    assert texts.to_csv(("file", "answer"), [('a,"b".png', "real")]) == 'file,answer\n"a,""b"".png",real\n'


def test_markdown_shows_a_name_as_it_is():
    assert texts.plain("![a](http://b)_c_.png") == r"\!\[a\]\(http\://b\)\_c\_.png"


def row(value: float, better: str | None, **controls: float) -> dict:
    """Return a row of a scorecard; every error is 0.03."""
    known = {name: {"value": control, "error": 0.03} for name, control in controls.items()}
    return {"metric": "deletion", "value": value, "error": 0.03, "better": better, "controls": known, "n": 40}


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (row(0.10, "lower", edges=0.30, random=0.40), "better than all controls"),
        (row(0.10, "higher", edges=0.30, random=0.40), "not better than edges and random"),
        (row(0.50, "higher", edges=0.42, random=0.40), "not better than edges"),  # 0.08 < 2 errors of the difference
        (row(0.50, "higher", edges=0.41, random=0.40), "better than all controls"),  # 0.09 > 0.0849
        (row(0.50, "lower", edges=0.50, random=0.70), "not better than edges"),
        (row(0.90, None, edges=0.40, random=0.33), "describes the map only"),
    ],
)
def test_a_method_is_better_than_a_control_by_two_errors_of_the_difference(measured, words):
    assert texts.verdict(measured) == words


def test_a_row_of_a_scorecard_in_words():
    ((question, values, result),) = texts.trust_rows([row(0.10, "lower", edges=0.30, random=-0.40)])
    assert question == "Does the probability fall when the most relevant pixels are removed first?"
    assert values.replace("\u00a0", " ") == "0.10 ± 0.03 (edges 0.30 ± 0.03, random \u22120.40 ± 0.03)"
    assert result == "not better than random"


def test_every_metric_that_the_service_serves_is_asked_as_a_question():
    from apps.service.trust import BETTER

    assert set(texts.QUESTIONS) == set(BETTER)


def test_every_method_of_the_service_has_a_name_in_words():
    from apps.service.explaining import METHODS

    assert set(texts.NAMES) <= set(METHODS)
    assert not [texts.title(method) for method in METHODS if "_" in texts.title(method)]


EXPLANATION = {
    **{"method": "integrated_gradients", "score": "log_odds", "target": "real", "against": None, "baseline": "black"},
    **{"steps": 50, "seed": None, "completeness_gap": 0.0163},
}


def test_how_a_map_was_made():
    assert texts.how(EXPLANATION) == (
        "Explains the log-odds of real; baseline black; steps 50; "
        "completeness gap 0.016 (0: the map adds up to the score)"
    )
    assert texts.how(EXPLANATION | dict.fromkeys(("baseline", "steps", "completeness_gap"))) == (
        "Explains the log-odds of real"
    )


@pytest.mark.parametrize(
    ("signed", "sign", "end"),
    [
        (True, "both", "orange parts are evidence for it, blue parts evidence against it"),
        (True, "negative", "blue parts are evidence against it"),
        (False, "both", "the more orange a part, the more it matters"),
    ],
)
def test_the_words_for_a_map(signed, sign, end):
    start = "Map by integrated gradients for real over the input: "
    assert texts.described(EXPLANATION, signed, sign) == start + end
