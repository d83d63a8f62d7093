"""The decision tree of Galaxy Zoo 2."""

from skylight.galaxies.questions import ANSWERS, BAR, QUESTIONS, answers_to


def test_there_are_37_answers_in_the_published_order():
    assert len(ANSWERS) == 37
    assert (ANSWERS[0], ANSWERS[5], ANSWERS[-1]) == ("Class1.1", BAR, "Class11.6")


def test_the_answers_of_a_question():
    assert answers_to(3) == ["Class3.1", "Class3.2"]
    assert [answer for question in QUESTIONS for answer in answers_to(question)] == ANSWERS


def test_questions_1_and_6_are_always_asked_and_the_others_after_an_answer():
    assert [question for question, (_, _, leads_from) in QUESTIONS.items() if leads_from is None] == [1, 6]
    for question, (_, _, leads_from) in QUESTIONS.items():
        assert leads_from is None or (leads_from in ANSWERS and int(leads_from[5:].split(".")[0]) != question)
