"""The simulated alerts: images, kinds, detection, and equal bytes for any number of processes."""

import numpy as np
import pandas as pd
import pytest

from skylight.alerts.packets import CANDIDATE_COLUMNS, alerts, image
from skylight.simulations.alerts import (
    BOGUS,
    FIELD,
    REAL,
    THRESHOLD,
    Sky,
    draw_candidate,
    draw_sky,
    images,
    simulate,
)


def quiet_sky(**changes) -> Sky:
    settings = {
        "band": 1,
        "zero_point": 26.2,
        "level": 200.0,
        "removed": 0.0,
        "seeing": 2.2,
        "beta": 3.5,
        "shear": (0.0, 0.0),
        "reference_seeing": 2.0,
        "frames": 20,
        "offset": (0.0, 0.0),
        "gain_error": 0.0,
        "width_error": 0.0,
        "shear_error": (0.0, 0.0),
    }
    return Sky(**(settings | changes))


def test_a_new_source_is_only_in_the_science_and_difference_images():
    sky = quiet_sky()
    sky.star(0.0, 0.0, 0.0, 5000.0)
    science, reference, difference = images(sky, np.random.default_rng(0))
    middle, box = FIELD // 2, np.s_[FIELD // 2 - 8 : FIELD // 2 + 9, FIELD // 2 - 8 : FIELD // 2 + 9]
    assert np.unravel_index(difference.argmax(), difference.shape) == (middle, middle)
    assert (science - 200)[box].sum() == pytest.approx(5000, rel=0.1)
    assert difference[box].sum() == pytest.approx(5000, rel=0.1)
    assert abs((reference - 200)[box].sum()) < 200
    # The profile has half of its peak at a radius of half the seeing.
    profile = difference[middle] / difference.max()
    width = np.interp(0.5, profile[middle - 8 : middle + 1], np.arange(-8, 1))
    assert -2 * width == pytest.approx(2.2, abs=0.4)


def test_a_perfect_subtraction_leaves_noise_and_an_imperfect_one_a_dipole():
    residuals = []
    for offset in ((0.0, 0.0), (0.5, 0.0)):
        sky = quiet_sky(offset=offset)
        sky.star(0.0, 0.0, 20_000.0)
        difference = images(sky, np.random.default_rng(1))[2]
        middle = FIELD // 2
        residuals.append(
            (difference[middle, middle - 2 : middle].sum(), difference[middle, middle + 1 : middle + 3].sum())
        )
    assert max(map(abs, residuals[0])) < 400
    assert residuals[1][0] > 600 and residuals[1][1] < -600


def test_the_noise_is_that_of_the_survey():
    """The survey's r-band packets have 5.8 to 6.2 DN at 190 DN of sky; its references are 3 to 4 times deeper."""
    science, reference, difference = images(quiet_sky(level=190.0), np.random.default_rng(0))
    assert science.std() == pytest.approx(5.9, abs=0.3)
    assert reference.std() == pytest.approx(1.4, abs=0.3)
    assert difference.std() == pytest.approx(6.0, abs=0.3)


def test_background_that_was_removed_leaves_its_noise():
    science = images(quiet_sky(level=190.0, removed=600.0), np.random.default_rng(0))[0]
    assert np.median(science) == pytest.approx(190, abs=1)
    assert science.std() == pytest.approx(np.hypot(np.sqrt(790 / 6.2), 1.7), abs=0.4)


def test_variables_and_hosts_are_as_bright_as_in_the_survey():
    """In 70 real packets of variable stars the middle 95 % are of 13.1 to 19.8 mag in the reference."""
    magnitudes = {name: [] for name in ("variable star", "in a core")}
    for name, found in magnitudes.items():
        for number in range(60):
            rng = np.random.default_rng([7, number])
            sky = draw_sky(rng)
            others = len(sky.sources)
            REAL[name][1](sky, rng)
            flux = sum(flux for _, _, flux in sky.sources[others:])
            found.append(sky.zero_point - 2.5 * np.log10(flux))
    assert np.percentile(magnitudes["variable star"], 50) == pytest.approx(16.8, abs=0.6)
    assert np.ptp(magnitudes["variable star"]) > 5
    assert np.percentile(magnitudes["in a core"], 50) == pytest.approx(16.8, abs=0.6)


def test_a_saturated_star_bleeds_along_its_column_and_is_masked():
    sky = quiet_sky()
    sky.star(0.0, 0.0, sky.flux(10.0))
    science, _, difference = images(sky, np.random.default_rng(0))
    middle = FIELD // 2
    rows, columns = (science > 40_000).nonzero()
    assert np.ptp(rows) > 2 * np.ptp(columns) > 0
    assert np.isnan(difference[middle, middle]) and not np.isnan(difference[0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("label", ["real", "bogus"])
def test_every_kind_is_drawn_and_detected(label):
    kinds, shapes = set(), set()
    for number in range(100):
        kind, found = draw_candidate(label, np.random.default_rng([1, number]))
        kinds.add(kind)
        shapes.add(found.cutouts[0].shape)
        assert found.measured["scorr"] >= THRESHOLD
        assert {cutout.shape for cutout in found.cutouts} == {found.cutouts[0].shape}
        assert max(found.cutouts[0].shape) <= 63
        assert all(np.isfinite(cutout).any() for cutout in found.cutouts)
        assert set(found.measured) <= set(CANDIDATE_COLUMNS)
    assert kinds == set({"real": REAL, "bogus": BOGUS}[label])
    assert (63, 63) in shapes and len(shapes) > 1


def test_a_faded_source_is_positive_in_the_difference():
    rng, found = np.random.default_rng(0), []
    while len(found) < 5:
        kind, candidate = draw_candidate("real", rng)
        if candidate.measured["isdiffpos"] == "f" and candidate.cutouts[0].shape == (63, 63):
            found.append((kind, candidate))
    for kind, candidate in found:
        assert kind == "variable star"
        assert np.nanmax(candidate.cutouts[2][29:34, 29:34]) > 3 * np.nanstd(candidate.cutouts[2][:20])


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_on_any_number_of_processes(tmp_path):
    for workers in (1, 2):
        counts = simulate(tmp_path / str(workers), 52, seed=2, workers=workers)
    assert counts == {"real": 36, "bogus": 16}  # 7,992 to 3,564
    files = [
        sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*.*")) for name in ("1", "2")
    ]
    assert files[0] == files[1] and len(files[0]) == 54
    assert all((tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes() for name in files[0])


def test_the_tables_and_the_packets_agree(tmp_path):
    simulate(tmp_path / "set", 20, seed=4, workers=1)
    table = pd.read_csv(tmp_path / "set/candidates.csv", index_col=0)
    truth = pd.read_csv(tmp_path / "set/truth.csv").set_index("candid")["kind"]
    assert list(table) == [*sorted(CANDIDATE_COLUMNS), "label"]  # as the published table
    assert {alert.candid for alert in alerts([tmp_path / "set"])} == set(table["candid"]) == set(truth.index)
    for row in table.itertuples():
        assert truth[row.candid] in {1: REAL, 0: BOGUS}[row.label]
    assert table["candid"].is_unique and table["jd"].between(2458000, 2460000).all()
    one = next(alerts([tmp_path / "set"]))
    assert image(one.cutouts[0]).dtype == np.float32


def test_skies_differ():
    first, second = draw_sky(np.random.default_rng(0)), draw_sky(np.random.default_rng(1))
    assert first.seeing != second.seeing and len(first.sources) > 0
