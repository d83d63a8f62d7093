"""What every test may ask for: the real data sets, where they are at hand."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).parent.parent
REAL_DATA = Path(os.environ.get("SKYLIGHT_REAL_DATA", ROOT.parent / "shared" / "real"))


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Give the path of a real data set (``real_data("s82_rrlyrae")``), or skip the test where it is absent."""

    def find(name: str) -> Path:
        path = REAL_DATA / name
        if not path.exists():
            pytest.skip(f"no {name} in {REAL_DATA} (set SKYLIGHT_REAL_DATA)")
        return path

    return find
