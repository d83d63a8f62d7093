"""Error rates of a two-class network against counting."""

import numpy as np

from skylight.evaluation.classification import error_rates


def test_error_rates_are_what_counting_gives_at_every_threshold():
    rng = np.random.default_rng(0)
    is_real, score = rng.random(200) < 0.7, rng.random(200).round(2)
    table = error_rates(is_real, score)
    assert np.isinf(table["threshold"][0]) and (table["threshold"].diff()[1:] < 0).all()
    for row in table.itertuples():
        called_real = score >= row.threshold
        assert np.isclose(row.fnr, (~called_real & is_real).sum() / is_real.sum())
        assert np.isclose(row.fpr, (called_real & ~is_real).sum() / (~is_real).sum())


def test_a_class_without_members_has_no_rate():
    table = error_rates(np.ones(3, bool), np.array([0.1, 0.5, 0.9]))
    assert table["fpr"].isna().all() and np.allclose(table["fnr"], [1, 2 / 3, 1 / 3, 0])
