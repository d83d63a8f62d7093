"""Simulated votes: how the volunteers of Galaxy Zoo 2 would answer their questions about a simulated galaxy."""

from collections.abc import Sequence

import numpy as np

from skylight.galaxies.images import NATIVE_SCALE, SKY_NOISE
from skylight.galaxies.questions import ANSWERS, QUESTIONS, answers_to
from skylight.simulations.galaxies import Galaxy


def opinions(galaxy: Galaxy) -> dict[int, np.ndarray]:
    """Return, for each question about ``galaxy``, the probability of each answer of one volunteer."""
    g = galaxy
    sharpness = np.clip(g.petror90 / (5 * g.seeing), 0.2, 2)  # size of the galaxy in units of the seeing
    disc = g.disc_fraction > 0
    edge_on = _logistic((0.26 - g.cos_inclination) / 0.035) if disc else 0.03
    open_view = 1 - edge_on
    arms = _logistic(5 * (4 * g.arm_fraction * g.disc_fraction * sharpness**0.5 - 0.45) + np.log(open_view + 1e-3))
    bar = bar_visibility(galaxy)
    bulge = 1 - g.disc_fraction - g.bar_fraction

    features = _logistic(-2.2 + (1.6 * disc + 3.2 * arms + 2.2 * bar + 3.5 * edge_on) * min(1.0, 0.5 + 0.5 * sharpness))
    star = 0.82 if g.artifact else 0.02
    if g.artifact:
        features = 0.2
    lane, ring, irregular = g.dust_lane * edge_on, 5 * g.ring_fraction * open_view, max(0.0, g.clumpiness - 0.9)
    merger = min(1.0, 3 * g.companion)
    odd_features = np.array([ring, 0.01, 0.05 + 0.2 * irregular, irregular, 0.06, merger, 1.5 * lane]) + 0.01
    odd = np.clip(0.04 + 0.9 * max(ring, irregular, merger, lane), 0, 0.95)
    return {
        1: np.array([(1 - star) * (1 - features), (1 - star) * features, star]),
        2: np.array([edge_on, open_view]),
        3: np.array([bar, 1 - bar]),
        4: np.array([0.04 + 0.94 * arms, 0.96 - 0.94 * arms]),
        5: _ordered(np.log(bulge + 1e-3), np.log([0.05, 0.2, 0.5]), 0.4),
        6: np.array([odd, 1 - odd]),
        7: _ordered(-g.cos_inclination, [-0.8, -0.42], 0.06),
        8: odd_features / odd_features.sum(),
        9: _normalised([0.1 + 3 * bulge, 0.12, 0.6 * np.exp(-6 * bulge)]),
        10: _ordered(np.degrees(abs(g.pitch)), [14.0, 22.0], 2.5),
        11: _arm_count(g.arm_count, sharpness * arms),
    }


def bar_visibility(galaxy: Galaxy) -> float:
    """Return the probability that a volunteer sees the bar of a disc.

    It is lower for a bar that is short, weak, foreshortened or blurred by the seeing.
    """
    g = galaxy
    if not g.bar_fraction:
        return 0.05
    surface = g.bar_fraction / (np.pi * g.bar_radius**2 * g.bar_axis_ratio)
    disc = g.disc_fraction / (2 * np.pi * g.disc_scale**2) * np.exp(-0.5 * g.bar_radius / g.disc_scale)
    bulge = max(0.0, 1 - g.disc_fraction - g.bar_fraction) / (2 * np.pi * g.bulge_radius**2)
    bulge *= np.exp(-1.68 * (0.5 * g.bar_radius / g.bulge_radius - 1))
    noise = SKY_NOISE["r"] * (g.petror90 / NATIVE_SCALE) ** 2 / 10 ** ((22.5 - g.r_mag) / 2.5)
    width = g.bar_length * g.bar_axis_ratio
    evidence = (
        0.9
        + 1.5 * np.log(surface / (disc + bulge + noise))
        + 4.0 * np.log(g.bar_length / g.petror90 / 0.7)
        + 3.0 * min(0.0, np.log(width / (1.1 * g.seeing)))
        + 6.0 * min(0.0, g.cos_inclination - 0.6)
    )
    return 0.03 + 0.94 * _logistic(evidence)


def votes(galaxy: Galaxy, voters: int, rng: np.random.Generator) -> np.ndarray:
    """Simulate the answers of ``voters`` people; return the 37 vote fractions in the order of `ANSWERS`.

    Everyone answers questions 1 and 6. Each other question is asked only of those who gave the answer that leads to it
    in the decision tree.
    """
    chances, counts = opinions(galaxy), {}
    for question in sorted(QUESTIONS):
        leads_from = QUESTIONS[question][2]
        asked = voters if leads_from is None else counts[leads_from]
        counts |= dict(zip(answers_to(question), rng.multinomial(asked, chances[question]), strict=True))
    return np.array([counts[answer] for answer in ANSWERS]) / voters


def _logistic(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def _normalised(weights: Sequence[float]) -> np.ndarray:
    return np.asarray(weights) / np.sum(weights)


def _ordered(value: float, borders: Sequence[float], blur: float) -> np.ndarray:
    """Return the probabilities of ordered answers; people see the ``borders`` between them with a scatter ``blur``."""
    below = [_logistic((border - value) / blur) for border in borders]
    return np.diff([0.0, *below, 1.0])


def _arm_count(count: int, clarity: float) -> np.ndarray:
    """Return the probabilities of the answers 1, 2, 3, 4, more than 4, cannot tell."""
    sure = np.clip(0.9 * clarity, 0, 0.9)
    chances = np.full(6, 0.15 * (1 - sure) / 5)
    chances[5] += 0.85 * (1 - sure)
    if count:
        chances[min(count, 5) - 1] += sure
    else:
        chances[5] += sure
    return _normalised(chances)
