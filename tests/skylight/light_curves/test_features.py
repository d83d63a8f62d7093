"""The 21 features against their definitions, written out one by one."""

import numpy as np
import pytest
from scipy import stats

from skylight.light_curves.curve import light_curve
from skylight.light_curves.features import FEATURES, features


def curve(seed, points=60):
    rng = np.random.default_rng(seed)
    return light_curve(
        rng.uniform(53_000, 56_000, points), rng.gamma(2, 0.3, points) + 15, rng.uniform(0.02, 0.1, points)
    )


def by_definition(c):
    n, mag, mean = len(c), c.mag, sum(c.mag) / len(c)
    std = (sum((m - mean) ** 2 for m in mag) / (n - 1)) ** 0.5
    median, amplitude = sorted(mag)[n // 2 - 1] / 2 + sorted(mag)[n // 2] / 2, (max(mag) - min(mag)) / 2
    flux = 10 ** (-0.4 * mag)
    span = np.percentile(flux, 95) - np.percentile(flux, 5)

    def mid(width):
        return (np.percentile(flux, 50 + width / 2) - np.percentile(flux, 50 - width / 2)) / span

    weights = 1 / c.magerr**2
    residual = (n / (n - 1)) ** 0.5 * (mag - sum(weights * mag) / sum(weights)) / c.magerr
    pairs = [residual[i] * residual[i + 1] for i in range(n - 1)]
    last = [mag[i + 1] - mag[i] for i in range(n - 30, n - 1)]
    return {
        "mean": mean,
        "min": min(mag),
        "max": max(mag),
        "amplitude": amplitude,
        "beyond_1_sigma": sum(abs(m - mean) > std for m in mag) / n,
        **{f"flux_percentile_ratio_mid{width}": mid(width) for width in (20, 35, 50, 65, 80)},
        "linear_trend": np.polyfit(c.time - c.time[0], mag, 1)[0],
        "max_slope": max(abs((mag[i + 1] - mag[i]) / (c.time[i + 1] - c.time[i])) for i in range(n - 1)),
        "median_absolute_deviation": np.median([abs(m - median) for m in mag]),
        "median_buffer_range_percentage": sum(abs(m - median) < amplitude / 10 for m in mag) / n,
        "pair_slope_trend": (sum(d > 0 for d in last) - sum(d < 0 for d in last)) / len(last),
        "percent_difference_flux_percentile": span / 10 ** (-0.4 * median),
        "skew": stats.skew(mag, bias=False),
        "small_kurtosis": stats.kurtosis(mag, bias=False),
        "std": std,
        "stetson_j": sum(np.sign(p) * abs(p) ** 0.5 for p in pairs) / len(pairs),
        "stetson_k": np.mean(np.abs(residual)) / np.mean(residual**2) ** 0.5,
    }


@pytest.mark.parametrize("seed", range(5))
def test_features_are_their_definitions(seed):
    c = curve(seed)
    expected = by_definition(c)
    assert tuple(expected) == FEATURES
    assert np.allclose(features([c])[0], list(expected.values()), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "columns",
    [
        ([0, 1], [15, 15], [0.1, 0.1]),
        ([0, 0], [15, 16], [0, 0]),
        ([0, 1, 2], [15, 15, 15], [0.1, 0.1, 0.1]),
    ],
)
def test_an_undefined_feature_is_zero(columns):
    table = features([light_curve(*columns)])
    assert table.shape == (1, 21) and np.isfinite(table).all()


def test_rows_follow_the_light_curves():
    curves = [curve(seed) for seed in range(3)]
    assert np.array_equal(features(curves)[1], features([curves[1]])[0])
    assert features([]).shape == (0, 21)
