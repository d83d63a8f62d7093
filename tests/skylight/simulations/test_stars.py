"""The physics of the simulated variable stars."""

from itertools import pairwise

import numpy as np
import pytest

from skylight.simulations.stars import (
    DRAW,
    Binary,
    draw_contact,
    draw_detached,
    draw_long_period,
    draw_rrd,
    draw_spotted,
    hidden_fraction,
    roche_lobe,
)


def stars(name: str, number: int = 40) -> list:
    rng = np.random.default_rng(7)
    return [DRAW[name](rng) for _ in range(number)]


def one_period(star, points: int = 400) -> np.ndarray:
    """Return the light of a star over one period; for a binary it starts in the middle of an eclipse."""
    return star(getattr(star, "epoch", 0.0) + star.period * np.arange(points) / points)


def overlap_of_discs(d: float, a: float, b: float) -> float:
    """Return the area common to discs of radii a and b at distance d, in units of the area of the second."""
    if d >= a + b:
        return 0.0
    if d <= abs(a - b):
        return min(a, b) ** 2 / b**2
    first = a**2 * np.arccos((d**2 + a**2 - b**2) / (2 * d * a))
    second = b**2 * np.arccos((d**2 + b**2 - a**2) / (2 * d * b))
    kite = 0.5 * np.sqrt((-d + a + b) * (d + a - b) * (d - a + b) * (d + a + b))
    return (first + second - kite) / (np.pi * b**2)


@pytest.mark.parametrize(("front", "back"), [(0.3, 0.5), (0.5, 0.3), (0.4, 0.4)])
def test_a_uniform_disc_hides_the_area_in_which_two_circles_overlap(front, back):
    distance = np.linspace(0, 1, 41)
    expected = [overlap_of_discs(d, front, back) for d in distance]
    np.testing.assert_allclose(hidden_fraction(distance, front, back, rings=1000), expected, atol=1e-3)
    np.testing.assert_allclose(hidden_fraction(distance, front, back), expected, atol=0.02)


def test_a_disc_in_front_of_the_centre_hides_more_light_with_limb_darkening():
    centred = np.array([0.0])
    assert hidden_fraction(centred, 0.2, 0.5, limb=0.6)[0] > hidden_fraction(centred, 0.2, 0.5)[0]


def test_the_roche_lobes_of_equal_stars():
    assert roche_lobe(1.0) == pytest.approx(0.379, abs=0.001)  # Eggleton 1983, table 1


@pytest.mark.parametrize("name", ["EW", "EA", "RRab", "RRc"])
def test_light_repeats_with_the_period(name):
    time = np.linspace(0, 3, 50)
    for star in stars(name):
        np.testing.assert_allclose(star(time + 5 * star.period), star(time), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "shortest", "longest"),
    [
        ("EW", 0.2, 1.5),
        ("EA", 0.35, 20),
        ("RRab", 0.4, 0.9),
        ("RRc", 0.2, 0.46),
        ("RRd", 0.3, 0.45),
        ("RS CVn", 0.25, 100),
        ("LPV", 80, 500),
    ],
)
def test_periods_are_those_of_the_class(name, shortest, longest):
    periods = [star.period for star in stars(name, 200)]
    assert shortest <= min(periods) <= max(periods) <= longest


@pytest.mark.parametrize(("name", "low", "high"), [("RRab", 0.5, 1.2), ("RRc", 0.3, 0.6), ("RRd", 0.3, 0.7)])
def test_the_quartiles_of_the_amplitudes_of_pulsating_stars_are_in_the_range_of_their_class(name, low, high):
    quartiles = np.percentile([np.ptp(one_period(star)) for star in stars(name, 200)], [25, 75])
    assert low <= quartiles[0] < quartiles[1] <= high


def test_longer_rrab_have_smaller_amplitudes():
    sample = stars("RRab", 200)
    assert np.corrcoef([s.period for s in sample], [np.ptp(one_period(s)) for s in sample])[0, 1] < -0.6


def test_rrab_rise_faster_than_they_decline():
    for star in stars("RRab"):
        brightening = np.diff(one_period(star, 1000)) < 0
        assert brightening.mean() < 0.45


def test_rrd_have_two_periods_in_the_ratio_of_the_petersen_diagram():
    rng = np.random.default_rng(1)
    for _ in range(50):
        first_overtone, fundamental = (1 / f for f in draw_rrd(rng).frequencies[:2])
        assert 0.742 < first_overtone / fundamental < 0.749


def test_rrd_do_not_repeat_with_one_period():
    star = draw_rrd(np.random.default_rng(1))
    assert np.ptp(star(star.period * np.arange(1, 100))) > 0.05


def test_contact_binaries_have_two_similar_minima_and_always_vary():
    rng = np.random.default_rng(2)
    for _ in range(60):
        star = draw_contact(rng)
        light = one_period(star)
        depth = np.ptp(light)
        assert sum(star.radii) > 0.7, "the stars touch"
        if depth > 0.2:
            assert light[200] - light.min() > 0.55 * depth, "half a period later comes nearly as deep a minimum"
            assert np.median(light) - light.min() > 0.1 * depth, "the light is not constant for half of the period"


def test_detached_binaries_are_nearly_constant_between_narrow_minima():
    rng = np.random.default_rng(3)
    for _ in range(60):
        light = one_period(draw_detached(rng))
        assert np.median(light) - light.min() < 0.12 * np.ptp(light)
        assert np.mean(light > light.min() + 0.5 * np.ptp(light)) < 0.25


def test_a_total_eclipse_of_equal_stars_hides_half_of_the_light():
    twins = Binary(2.0, 0.3, np.pi / 2, (0.05, 0.05), surface=1.0, mass_ratio=1.0, gravity=0.0)
    light = twins(np.array([0.3, 1.3, 0.8]))
    np.testing.assert_allclose(light, [2.5 * np.log10(2), 2.5 * np.log10(2), 0.0], atol=3e-3)


def test_an_eccentric_orbit_keeps_keplers_second_law_and_its_epoch():
    star = Binary(2.0, 0.3, np.pi / 2, (0.1, 0.1), 0.5, 1.0, eccentricity=0.4, periastron=0.7)
    time = 0.3 + np.linspace(0, 2, 2001)
    angle, separation = star.orbit(time)
    assert np.cos(angle[0]) == pytest.approx(1, abs=1e-9)
    assert separation.max() - separation.min() == pytest.approx(0.8, abs=1e-4)
    swept = separation[:-1] * separation[1:] * np.sin(np.diff(angle)) / 2
    np.testing.assert_allclose(swept, swept.mean(), rtol=1e-4)
    assert star(time).argmax() in (0, 2000), "the deeper eclipse is that of the brighter star, at the epoch"


def test_spots_drift_and_change():
    rng = np.random.default_rng(4)
    changes = []
    for _ in range(20):
        star = draw_spotted(rng)
        phase = star.period * np.arange(100) / 100
        first, later = star(phase), star(phase + star.period * round(1500 / star.period))
        changes.append(np.std(later - first) / np.std(first))
    assert np.median(changes) > 0.3


def test_cycles_of_long_period_stars_differ_and_join_without_steps():
    rng = np.random.default_rng(5)
    for _ in range(20):
        star = draw_long_period(rng)
        time = np.linspace(0, 3100, 20000)
        light = star(time)
        assert np.abs(np.diff(light)).max() < 0.02 * np.ptp(light)
        minima = [light[(time >= a) & (time < b)].max() for a, b in pairwise(star.starts[2:7])]
        assert np.ptp(minima) > 0.01
        assert star.starts[-1] > 3200, "the cycles last to the end of the survey"
