"""Bootstrap samples and the correlations in them, against loops over the samples."""

import numpy as np

from skylight.evaluation.bootstrap import correlation, correlations, resamples, sample_counts


def test_samples_are_drawn_with_replacement_and_counted():
    drawn, counts = resamples(30, 50, 7), sample_counts(30, 50, 7)
    assert drawn.shape == counts.shape == (50, 30)
    assert set(np.unique(drawn)) == set(range(30))
    for sample, row in zip(drawn, counts, strict=True):
        assert row.tolist() == [sum(sample == i) for i in range(30)]
    assert (counts == 0).any() and (counts > 1).any()
    assert np.array_equal(drawn, resamples(30, 50, 7)) and not np.array_equal(drawn, resamples(30, 50, 8))


def test_correlations_are_those_of_the_resampled_objects():
    rng = np.random.default_rng(5)
    reference = rng.normal(10, 3, 300)
    measured = reference + rng.normal(0, 2, 300)
    drawn = resamples(300, 4, 7)
    expected = [np.corrcoef(measured[sample], reference[sample])[0, 1] for sample in drawn]
    assert np.allclose(correlations(measured, reference, sample_counts(300, 4, 7)), expected)
    assert np.isclose(correlation(measured, reference), np.corrcoef(measured, reference)[0, 1])


def test_the_correlation_of_a_constant_is_nan():
    rng = np.random.default_rng(0)
    measured, reference = rng.normal(size=(2, 300))
    assert np.isnan(correlation(np.ones(300), reference)) and np.isnan(correlation(measured, np.full(300, 0.1)))
    one_object = np.zeros((2, 300))
    one_object[0, 5], one_object[1, :] = 300, 1
    assert np.isnan(correlations(measured, reference, one_object)).tolist() == [True, False]
