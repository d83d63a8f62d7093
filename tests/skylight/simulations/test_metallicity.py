"""The simulated galaxies with metallicities follow the published relations, and their truth is what was rendered."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from skylight.galaxies import local_metallicity
from skylight.galaxies.metallicity import BINS, central_pixels, class_names, read_catalogue
from skylight.galaxies.photometry import measure
from skylight.simulations import metallicity as simulation
from skylight.simulations.galaxies import draw_galaxy, layers

COUNTS = {"low": 300, "medium": 300, "high": 300}


@pytest.fixture(scope="module")
def drawn() -> pd.DataFrame:
    return simulation.draw_survey(np.random.default_rng(3), COUNTS)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey")
    simulation.simulate(folder, simulation.SurveyPlan(scale=0.002, medium=0.1, seed=4))
    return folder


def test_every_class_has_the_asked_number_and_lies_in_its_bin(drawn):
    assert pd.Series(class_names(drawn["oh_p50"].to_numpy())).value_counts().to_dict() == COUNTS
    assert drawn["objID"].is_unique and drawn["objID"].str.fullmatch("[0-9]{19}").all()


def test_the_survey_is_limited_in_flux_and_redshift(drawn):
    near, far = simulation.REDSHIFTS
    assert drawn["z"].between(near, far).all()
    assert (drawn["petroMag_r"] <= simulation.FAINTEST + 0.01).all()


def test_the_classes_have_the_published_shares_without_being_asked_to():
    """Flux-limited galaxies on the published relations: low 16 %, medium 72.5 %, high 11.5 % of the catalogue."""
    oh = simulation._draw(np.random.default_rng(5), 20_000)["oh_p50"].to_numpy()
    names = class_names(oh)
    inside = names[names != ""]
    shares = {name: (inside == name).mean() for name in BINS}
    assert len(inside) > 0.97 * len(oh)
    assert shares["low"] == pytest.approx(0.16, abs=0.02)
    assert shares["medium"] == pytest.approx(0.725, abs=0.02)
    assert shares["high"] == pytest.approx(0.115, abs=0.02)
    # Quartiles of 400 galaxies that were drawn at random from the published set
    assert np.quantile(oh, [0.25, 0.5, 0.75]) == pytest.approx([8.824, 8.951, 9.047], abs=0.04)


def test_metallicity_follows_the_published_relation(drawn):
    table = simulation._draw(np.random.default_rng(6), 20_000)
    some = table[np.abs(table["excess"]) < 0.1]
    for log_mass, published in ((9.5, 8.81), (10.0, 8.95), (10.5, 9.05)):
        near = some[np.abs(some["log_mass"] - log_mass) < 0.1]
        assert near["oh_p50"].median() == pytest.approx(published, abs=0.025)


@pytest.mark.parametrize("clump_excess", [0.0, -0.25])
def test_the_true_metallicity_falls_with_radius_and_differs_in_clumps(clump_excess):
    rng = np.random.default_rng(7)
    galaxy = dataclasses.replace(draw_galaxy(rng, 12.0), bar_fraction=0.0, disc_fraction=0.6, arm_fraction=0.4)
    galaxy = dataclasses.replace(galaxy, cos_inclination=0.8, arm_count=2, artifact=False, companion=0.0)
    row = {"oh_p50": 8.6, "gradient": -0.1, "clump_excess": clump_excess}
    light = dict(layers(galaxy, 160, rng))
    truth = simulation.true_map(row, galaxy, light)
    share = light["arms"][1] / (light["arms"][1] + light["disc"][1])
    effective = 1.678 * galaxy.disc_scale
    fibre = min(1.0 / galaxy.petror90, effective) / effective
    expected = 8.6 - 0.1 * (np.minimum(truth.radius, 2) - fibre) + clump_excess * share
    assert np.allclose(truth.metallicity, expected)
    covered = sum(mask.astype(int) for mask in truth.parts.values())
    assert covered.max() == 1 and truth.parts["clumps"].any() and truth.parts["bulge"].any()
    assert share[truth.parts["clumps"]].min() > 1 / 3


@pytest.mark.slow
def test_the_truth_of_a_file_is_that_of_the_galaxy_to_a_step(survey, tmp_path):
    ids = read_catalogue(survey)["objID"]
    truth = local_metallicity.read(survey, ids[0])
    assert truth.metallicity.shape == (160, 160)
    (tmp_path / local_metallicity.FOLDER).mkdir()
    local_metallicity.write(tmp_path / local_metallicity.FOLDER / "1.png", truth)
    again = local_metallicity.read(tmp_path, "1")
    assert np.array_equal(again.metallicity, truth.metallicity) and np.array_equal(again.radius, truth.radius)
    assert all(np.array_equal(again.parts[name], mask) for name, mask in truth.parts.items())
    cut = truth.cut(96)
    assert np.array_equal(cut.metallicity, truth.metallicity[32:128, 32:128])
    assert np.array_equal(cut.parts["disc"], truth.parts["disc"][32:128, 32:128])


@pytest.mark.slow
def test_the_same_plan_writes_the_same_bytes(survey, tmp_path):
    simulation.simulate(tmp_path, simulation.SurveyPlan(scale=0.002, medium=0.1, seed=4))
    first = {path.relative_to(survey): path.read_bytes() for path in survey.rglob("*.*")}
    again = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.*")}
    assert len(first) == 2 + 2 * len(read_catalogue(survey))
    assert first == again


@pytest.mark.slow
def test_classes_overlap_with_real_ones_in_colour_and_surface_brightness(survey, real_data):
    """Both do not depend on the scale of the real cutouts, which differs from galaxy to galaxy."""
    folder = real_data("sdss_metallicity")
    table = pd.read_csv(folder / "train.csv", dtype={"objID": str})
    table["class"] = class_names(table["oh_p50"].to_numpy())
    real = measure(np.stack([central_pixels(folder / f"train/{objid}.jpg", 96) for objid in table["objID"]]))
    ours = read_catalogue(survey)
    simulated = measure(np.stack([central_pixels(survey / f"images/{objid}.jpg", 96) for objid in ours["objID"]]))
    for name in ("low", "high"):
        for column in ("g_r", "r_i", "surface"):
            theirs = real.loc[table["class"] == name, column]
            mine = simulated.loc[ours["class"] == name, column]
            difference = mine.median() - theirs.median()
            assert abs(difference) < 0.6 * theirs.std(), (name, column)
            assert 0.5 < mine.std() / theirs.std() < 2, (name, column)
