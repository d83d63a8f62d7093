"""The questions that Galaxy Zoo 2 asks its volunteers, and their 37 answers.

The decision tree is that of Willett et al. 2013 (MNRAS 435, 2835). Its answers are numbered as in the published
training table. A fraction is the share of all volunteers who looked at the galaxy, so the answers to a question sum to
the share of the answer that leads to it.
"""

QUESTIONS: dict[int, tuple[str, int, str | None]] = {
    1: ("smooth, features or star", 3, None),
    2: ("edge-on", 2, "Class1.2"),
    3: ("bar", 2, "Class2.2"),
    4: ("spiral", 2, "Class2.2"),
    5: ("bulge prominence", 4, "Class2.2"),
    6: ("anything odd", 2, None),
    7: ("roundness", 3, "Class1.1"),
    8: ("odd feature", 7, "Class6.1"),
    9: ("edge-on bulge", 3, "Class2.1"),
    10: ("winding of arms", 3, "Class4.1"),
    11: ("number of arms", 6, "Class4.1"),
}
"""Subject, number of answers, and the answer that leads to it, for each question."""

ANSWERS = [f"Class{question}.{k + 1}" for question, (_, n, _) in QUESTIONS.items() for k in range(n)]
"""The 37 columns of the published tables, in their order."""

BAR = "Class3.1"
"""The answer "yes, there is a bar"."""


def answers_to(question: int) -> list[str]:
    """Return the columns of the answers to a question."""
    return [f"Class{question}.{k + 1}" for k in range(QUESTIONS[question][1])]
