"""Bar lengths for a whole grid of settings: the published threshold scan against `skylight.barlength`.

Run as ``python -m bench.barlength``. Both measure the same SmoothGrad-like maps at the published size and grid and
must agree exactly. The scan builds a mask and a correlation for each of 5,000 thresholds and a setting; its all-pairs
distance loop is vectorised here, which only flatters it. The ideal is one sort of the pixels above 0.5.
"""

import statistics
import time
import warnings

import numpy as np

from skylight.barlength import THRESHOLDS, bar_lengths

SIZE = 224
CORRELATIONS = [0.75, 0.8, 0.85, 0.9, 0.95]
COUNTS = [10, 20, 30, 40, 50]
REPEATS = 5


def scan(heatmap: np.ndarray, corr_threshold: float, len_threshold: int) -> float:
    """The published scan."""
    for threshold in THRESHOLDS:
        x, y = (heatmap > threshold).nonzero()
        if abs(np.corrcoef(x, y)[1, 0]) > corr_threshold or len(x) < len_threshold:
            break
    squares = (x[:, None] - x) ** 2 + (y[:, None] - y) ** 2
    return max(1.0, float(np.sqrt(squares.max(initial=0))))


def example(rng: np.random.Generator) -> np.ndarray:
    """A map with a bar at a random angle on a speckled background, min-max normalised, (SIZE, SIZE)."""
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), x * np.sin(angle) - y * np.cos(angle)
    heatmap = np.exp(-((along / 16) ** 2) - (across / 5) ** 2) * rng.gamma(8, 1 / 8, x.shape) + 0.1 * rng.random(
        x.shape
    )
    return (heatmap - heatmap.min()) / np.ptp(heatmap)


def timed(function, *arguments) -> tuple[float, object]:
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def main() -> None:
    warnings.filterwarnings("ignore")
    rng = np.random.default_rng(0)
    scans, ours, sorts = [], [], []
    for _ in range(REPEATS):
        heatmap = example(rng)
        seconds, expected = timed(lambda h=heatmap: [[scan(h, c, n) for n in COUNTS] for c in CORRELATIONS])
        scans.append(seconds)
        runs = [timed(bar_lengths, heatmap, CORRELATIONS, COUNTS) for _ in range(REPEATS)]
        ours.append(statistics.median(seconds for seconds, _ in runs))
        sorts.append(statistics.median(timed(lambda h=heatmap: np.sort(h[h > 0.5]))[0] for _ in range(REPEATS)))
        assert np.array_equal(runs[0][1], expected), "the lengths differ"
    settings = len(CORRELATIONS) * len(COUNTS)
    print(f"{settings} settings, maps of {SIZE} x {SIZE}, median of {REPEATS} maps, same lengths exactly")
    for name, times in (("published scan", scans), ("skylight", ours), ("one sort (ideal)", sorts)):
        print(f"  {name:16s} {1e3 * statistics.median(times):10.3f} ms a map")
    ratios = sorted(slow / fast for slow, fast in zip(scans, ours, strict=True))
    print(f"  ratio scan / skylight: median {statistics.median(ratios):.0f}, {ratios[0]:.0f} to {ratios[-1]:.0f}")


if __name__ == "__main__":
    main()
