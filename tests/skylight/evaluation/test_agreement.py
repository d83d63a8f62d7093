"""The agreement of two implementations, on maps that can be counted by hand."""

import numpy as np
import pytest

from skylight.evaluation.agreement import agreement


def test_agreement_by_definition():
    random = np.random.default_rng(0)
    maps, others = random.normal(size=(2, 4, 3, 5, 2))
    others[1] = 2 * maps[1] + 3
    maps[2] = 0.5
    found = agreement(maps, others)
    each = [np.corrcoef(maps[i].ravel(), others[i].ravel())[0, 1] for i in (0, 1, 3)]
    assert each[1] == pytest.approx(1)
    assert (found["objects"], found["constant"]) == (4, 1)
    assert found["correlation"] == pytest.approx(np.mean(each))
    largest = max(abs(a - b) for a, b in zip(maps.ravel(), others.ravel(), strict=True))
    assert found["largest_difference"] == pytest.approx(largest / max(abs(maps.ravel())))


def test_equal_and_empty_maps():
    maps = np.random.default_rng(0).normal(size=(3, 4, 4, 1))
    assert agreement(maps, maps) == pytest.approx(
        {"objects": 3, "constant": 0, "correlation": 1, "largest_difference": 0}
    )
    nothing = agreement(0 * maps, 0 * maps)
    assert nothing.pop("correlation") != nothing.get("correlation", np.nan)  # NaN
    assert nothing == {"objects": 3, "constant": 3, "largest_difference": 0}
