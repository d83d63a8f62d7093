"""Timing of alternatives in turn, so that changes of the machine's speed affect all of them."""

import statistics
import time
from collections.abc import Callable


def medians(alternatives: dict[str, Callable[[], object]], repeats: int = 5) -> dict[str, float]:
    """Run each alternative once to warm up, then all in turn ``repeats`` times; return the median seconds of each."""
    for run in alternatives.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in alternatives}
    for _ in range(repeats):
        for name, run in alternatives.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def report(title: str, seconds: dict[str, float], ours: str, unit: str = "") -> None:
    """Print the seconds of each alternative, and their ratio to those of ``ours``."""
    print(f"\n{title}")
    for name, value in seconds.items():
        print(f"  {name:42s} {value:10.4g} s{unit}   {value / seconds[ours]:8.3g} x ours")
