"""Bar lengths for a whole grid of settings: the published threshold scan against `skylight.galaxies.bar_length`.

Run as ``python -m bench.barlength``. Both measure the same SmoothGrad-like maps at the published size and grid, and
their lengths must be equal. The scan computes a mask and a correlation for each of 5,000 thresholds and each setting.
Its loop over all pairs of pixels is vectorised here, which makes it faster than the published one. The lower limit of
the time is one sort of the pixels above 0.5.
"""

import warnings

import numpy as np

from bench.timing import medians, report
from skylight.galaxies.bar_length import THRESHOLDS, bar_lengths

SIZE = 224
CORRELATIONS = [0.75, 0.8, 0.85, 0.9, 0.95]
COUNTS = [10, 20, 30, 40, 50]
MAPS = 3


def scan(heatmap: np.ndarray, corr_threshold: float, len_threshold: int) -> float:
    """Measure a bar with the published scan."""
    for threshold in THRESHOLDS:
        x, y = (heatmap > threshold).nonzero()
        if abs(np.corrcoef(x, y)[1, 0]) > corr_threshold or len(x) < len_threshold:
            break
    squares = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    return max(1.0, float(np.sqrt(squares.max(initial=0))))


def example(rng: np.random.Generator) -> np.ndarray:
    """Return a map with a bar at a random angle on a noisy background, min-max normalised, (SIZE, SIZE)."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), x * np.sin(angle) - y * np.cos(angle)
    heatmap = np.exp(-((along / 16) ** 2) - (across / 5) ** 2) * rng.gamma(8, 1 / 8, x.shape) + 0.1 * rng.random(
        x.shape
    )
    return (heatmap - heatmap.min()) / np.ptp(heatmap)


def main() -> None:
    warnings.filterwarnings("ignore")
    rng = np.random.default_rng(0)
    maps = [example(rng) for _ in range(MAPS)]
    found = {}

    def keep(name: str, measured: list) -> None:
        found[name] = np.array(measured)

    seconds = medians(
        {
            "published scan, all settings": lambda: keep(
                "scan", [[[scan(m, c, n) for n in COUNTS] for c in CORRELATIONS] for m in maps]
            ),
            "skylight.galaxies.bar_length, all settings": lambda: keep(
                "ours", [bar_lengths(m, CORRELATIONS, COUNTS) for m in maps]
            ),
            "one sort of the pixels above 0.5 (limit)": lambda: [np.sort(m[m > 0.5]) for m in maps],
        }
    )
    assert np.array_equal(found["scan"], found["ours"]), "the lengths differ"
    title = (
        f"Bar lengths, {len(CORRELATIONS) * len(COUNTS)} settings of {MAPS} maps of {SIZE} x {SIZE}, the same lengths"
    )
    report(title, seconds, "skylight.galaxies.bar_length, all settings")


if __name__ == "__main__":
    main()
