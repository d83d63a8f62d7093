"""The ten quantities of an alert, on images whose quantities are known, and of real packets against simulated ones."""

import numpy as np
import pandas as pd
import pytest

from skylight.alerts.archives import read_alerts
from skylight.alerts.packets import Alert, alerts, packed
from skylight.alerts.realism import QUANTITIES, compare, measure, measured
from skylight.alerts.triplets import read_labels
from skylight.rejected import Rejected
from skylight.simulations.alerts import simulate

Y, X = np.mgrid[:63, :63] - 31


def gaussian(peak: float, fwhm: float, x: float = 0, y: float = 0) -> np.ndarray:
    return peak * 2 ** (-((X - x) ** 2 + (Y - y) ** 2) / (fwhm / 2) ** 2)


def alert(science, reference, difference, candid: int = 1) -> Alert:
    return Alert("file", candid, "ZTF1", tuple(map(packed, (science, reference, difference))))


@pytest.fixture
def noise():
    rng = np.random.default_rng(0)
    return lambda sigma: rng.normal(0, sigma, (63, 63))


def test_the_quantities_of_a_new_star_in_a_galaxy(noise):
    star, host, field = gaussian(1000, 2.6), gaussian(300, 5.0), gaussian(200, 2.6, 20, -15)
    found = measure(
        alert(star + host + field + 180 + noise(6), host + field + 150 + noise(1.5), star + noise(6)),
    )
    assert list(found) == list(QUANTITIES)
    assert found["background"] == pytest.approx(180, abs=1)
    assert found["noise"] == pytest.approx(6, rel=0.05)
    assert found["peak_snr"] == pytest.approx(1000 / 6, rel=0.05)
    assert found["fwhm"] == pytest.approx(2.6, rel=0.05)
    assert found["axis_ratio"] > 0.95 and abs(found["hole"]) < 0.03
    assert found["science_snr"] == pytest.approx(1300 / 6, rel=0.1)
    assert found["reference_snr"] == pytest.approx(300 / 1.5, rel=0.1)
    # The star of the field is brighter than 5 sigma where 200 * 2^-(r/1.3)^2 > 7.5: r < 2.8, 25 of 3,652 pixels.
    assert found["crowding"] == pytest.approx(25 / 3652, rel=0.2)
    assert found["masked_share"] == 0


def test_a_dipole_has_a_hole_and_an_edge_and_masked_pixels_are_counted(noise):
    dipole = gaussian(300, 2.2, 0.5) - gaussian(300, 2.2, -0.5) + noise(5)
    dipole[0, :7] = np.nan
    found = measure(alert(100 + noise(5), 100 + noise(1), dipole))
    assert found["hole"] == pytest.approx(1, abs=0.1)
    assert found["masked_share"] == pytest.approx(7 / 63**2)
    short = [image[:42] for image in (100 + noise(5), 100 + noise(1), noise(5))]
    assert measure(alert(*short))["masked_share"] == pytest.approx(1 / 3)


def test_alerts_without_label_or_with_bad_cutouts_are_left_out(noise):
    good = [alert(9 + noise(1), 9 + noise(1), noise(1), candid) for candid in (1, 2, 3)]
    cut = Alert("file", 4, "ZTF1", (None, *good[0].cutouts[1:]))
    large = Alert("file", 5, "ZTF1", (packed(np.ones((64, 63))), *good[0].cutouts[1:]))
    table = measured([*good, cut, large, Rejected("file", "6", "bad")], {1: 1, 3: 0, 4: 1, 5: 1, 6: 0})
    assert table["candid"].tolist() == [1, 3] and table["class"].tolist() == ["real", "bogus"]


def test_distributions_are_compared_class_by_class():
    def table(classes, noise):
        return pd.DataFrame({"candid": range(len(noise)), "class": classes} | dict.fromkeys(QUANTITIES, noise))

    own, real = table(["real"] * 4, [1.0, 2, 3, 4]), table(["real"] * 4, [3.0, 4, 5, np.nan])
    found = compare(own, real).set_index(["class", "quantity"])
    assert len(found) == 20
    row = found.loc[("real", "noise")]
    # At 2, half of the first and none of the second are below; at 4, all and two thirds.
    assert (row["own_50"], row["real_50"], row["real_alerts"], row["distance"]) == (2.5, 4, 3, 0.5)
    assert found.loc["bogus"]["distance"].isna().all()
    alone = compare(own, real.head(0)).set_index(["class", "quantity"]).loc[("real", "noise")]
    assert alone["own_95"] == pytest.approx(3.85) and np.isnan(alone["real_50"]) and np.isnan(alone["distance"])


@pytest.mark.slow
def test_simulated_reals_look_like_those_of_the_survey(real_data, tmp_path):
    """In the first simulation the distance was up to 0.57: half the noise, and a third of the crowded fields."""
    simulate(tmp_path / "set", 300, seed=1)
    own = measured(alerts([tmp_path / "set/packets"]), read_labels(tmp_path / "set/candidates.csv"))
    folder = real_data("ztf_alerts_more")
    real = measured(read_alerts([folder / "packets"]), read_labels(folder / "candidates.csv"))
    table = compare(own, real).set_index(["class", "quantity"])["distance"]
    assert len(real) == 148
    assert table["real"].max() < 0.3
