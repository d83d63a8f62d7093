"""The rule of the subcategories, on triplets whose subcategory is known, and the selection of alerts to explain."""

import numpy as np
import pandas as pd
import pytest

from skylight import params
from skylight.alerts.subcategories import NAMES, NONE, central_peak, count, select, sky, subcategory
from skylight.alerts.triplets import FILLING, normalised

SETTINGS = params.load().realbogus.heatmaps
RULE = SETTINGS.subcategories
Y, X = np.mgrid[:63, :63] - 31


def source(x=0.0, y=0.0, height=0.0, width=1.0, long=1.0):
    return height * np.exp(-((X - x) ** 2) / (2 * (width * long) ** 2) - (Y - y) ** 2 / (2 * width**2))


def made(peak=0.0, neighbours=0, long=1.0, seed=0):
    """Return a triplet with noise 1 on a sky of 100, a source at the centre and bright ones around it."""
    rng = np.random.default_rng(seed)
    static = sum((source(*rng.choice([-22, -15, 15, 22], 2), 300, 1.5) for _ in range(neighbours)), np.zeros((63, 63)))
    candidate = source(height=peak, long=long)
    images = [100 + static + candidate, 100 + static, candidate]
    return np.stack([normalised(image + rng.standard_normal((63, 63))) for image in images], axis=-1)


@pytest.mark.parametrize(
    ("peak", "neighbours", "long", "name"),
    [
        (50, 0, 1.0, "real_mixture"),
        (50, 6, 1.0, "real_central"),
        (2, 0, 1.0, "real_modulo_noise"),
        (50, 0, 3.0, "real_modulo_noise"),  # a peak, but not round
        (2, 6, 1.0, NONE),
        (50, 6, 3.0, NONE),
    ],
)
def test_reals_are_sorted_by_peak_and_surroundings(peak, neighbours, long, name):
    assert [subcategory(made(peak, neighbours, long, seed), True, RULE) for seed in range(5)] == [name] * 5


def test_a_peak_away_from_the_centre_is_not_central():
    triplet = made()
    triplet[..., 2] += normalised(source(8, 8, 1.0))
    assert central_peak(triplet[..., 2])[0] < RULE.peak_snr


@pytest.mark.parametrize("channel", range(3))
def test_boguses_are_sorted_by_masked_or_missing_pixels(channel):
    for value in (0, FILLING):
        triplet = made(30, 2)
        assert subcategory(triplet, False, RULE) == "bogus_non_blanked"
        triplet[:4, :4, channel] = value  # 16 of 3,969 pixels
        assert subcategory(triplet, False, RULE) == "bogus_non_blanked"
        triplet[:6, :6, channel] = value
        assert subcategory(triplet, False, RULE) == "bogus_blanked"


def test_flat_and_empty_images_have_no_peak():
    for pixels in (np.zeros((63, 63)), np.full((63, 63), 1.0), np.full((63, 63), FILLING)):
        assert central_peak(pixels)[1] == 0.0
    assert sky(np.zeros((63, 63))) == (0.0, 0.0)
    assert subcategory(np.zeros((63, 63, 3), np.float32), True, RULE) == "real_modulo_noise"


def test_sources_do_not_change_the_sky():
    pixels = np.random.default_rng(0).normal(5, 2, (63, 63)) + source(0, 0, 500, 3)
    level, noise = sky(pixels)
    assert abs(level - 5) < 0.2 and abs(noise - 2) < 0.15


def predictions(alerts=400):
    """Return a table of random test alerts."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "candid": 1000 + np.arange(alerts),
            "class": rng.choice(["bogus", "real"], alerts),
            "predicted": rng.choice(["bogus", "real"], alerts),
            "probability": rng.uniform(0.5, 1, alerts),
            "subcategory": rng.choice([*NAMES, NONE], alerts),
        }
    )


@pytest.mark.parametrize(("worst", "least", "most"), [(12, 0.8, 5), (0, 0.6, 3), (30, 0.95, 1), (1000, 0.5, 1000)])
def test_selected_are_the_surest_mistakes_and_then_the_first_confident_ones_of_each_subcategory(worst, least, most):
    table = predictions()
    settings = SETTINGS.model_copy(
        update={"max_misclassified": worst, "min_probability": least, "max_objects_per_subcategory": most}
    )
    alerts = list(table.itertuples(index=False))
    mistakes = sorted((a for a in alerts if a[1] != a.predicted), key=lambda a: -a.probability)
    expected, taken = [a.candid for a in mistakes[:worst]], dict.fromkeys(NAMES, 0)
    mistakes_taken = set(expected)
    for alert in alerts:
        if alert.subcategory != NONE and alert.probability >= least and taken[alert.subcategory] < most:
            taken[alert.subcategory] += 1  # counts those that are among the mistakes as well
            if alert.candid not in mistakes_taken:
                expected.append(alert.candid)
    chosen = select(table, settings)
    assert chosen["candid"].tolist() == expected
    assert chosen.index.tolist() == list(range(len(expected))) and list(chosen) == list(table)


def test_nothing_is_selected_where_nothing_is_wrong_or_confident():
    table = predictions().assign(predicted="real", probability=0.7)
    table["class"] = "real"
    assert not len(select(table, SETTINGS.model_copy(update={"min_probability": 0.8})))


def test_count_has_every_subcategory_and_none():
    found = count(["real_central", NONE, "real_central", "bogus_blanked"])
    assert list(found) == [*NAMES, NONE]
    assert {name: number for name, number in found.items() if number} == {
        "real_central": 2,
        "bogus_blanked": 1,
        NONE: 1,
    }
