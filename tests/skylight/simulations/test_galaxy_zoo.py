"""The simulated Galaxy Zoo 2 has the published layout, and its bar catalogue has the published scatter."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skylight.evaluation.bootstrap import correlation
from skylight.galaxies.catalogue import CATALOGUE_COLUMNS, catalogue_arcsec, read_catalogue, to_kpc
from skylight.galaxies.length_scores import ceiling
from skylight.galaxies.questions import ANSWERS
from skylight.simulations import galaxy_zoo
from skylight.simulations.galaxies import render

SMALL = galaxy_zoo.SurveyPlan(
    training=12,
    test=5,
    catalogue=9,
    median_petror90=8.0,
    voters=44,
    length_scatter=0.17,
    seed=3,
)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("galaxy_zoo")
    galaxy_zoo.simulate(folder, SMALL)
    return folder


@pytest.mark.slow
def test_files_and_columns_are_the_published_ones(simulated):
    solutions = pd.read_csv(simulated / "training_solutions_rev1.csv")
    assert list(solutions) == ["GalaxyID", *ANSWERS]
    assert {f"{i}.jpg" for i in solutions["GalaxyID"]} == {
        p.name for p in (simulated / "images_training_rev1").iterdir()
    }
    assert len(list((simulated / "images_test_rev1/images").iterdir())) == 5
    mapping = pd.read_csv(simulated / "gz2_filename_mapping.csv")
    assert list(mapping) == ["objid", "sample", "asset_id"]
    assert {f"{i}.jpg" for i in mapping["asset_id"]} == {p.name for p in (simulated / "images_gz2/images").iterdir()}
    sample = pd.read_csv(simulated / "gz2sample.csv")
    assert {"OBJID", "PETROR90_R", "PETROMAG_R", "REDSHIFT", "WVT_BIN"} <= set(sample)
    assert not sample.isna().to_numpy().any()
    assert list(pd.read_csv(simulated / "hoyle_barlengths.csv")) == CATALOGUE_COLUMNS
    for path in simulated.rglob("*.jpg"):
        with Image.open(path) as image:
            assert (image.size, image.mode, image.format) == ((424, 424), "RGB", "JPEG")


def test_an_image_does_not_depend_on_the_process_that_renders_it(simulated, tmp_path):
    truth = pd.read_csv(simulated / "truth.csv").iloc[0]
    rng = np.random.default_rng(SMALL.seed)
    galaxy_zoo._draw_measured(rng, SMALL)
    galaxies = galaxy_zoo._draw_galaxies(rng, SMALL)
    render(galaxies[0], 424, 0.02, np.random.default_rng([SMALL.seed, 0])).save(tmp_path / "again.jpg", quality=92)
    first = simulated / "images_training_rev1" / f"{truth['GalaxyID']}.jpg"
    assert first.read_bytes() == (tmp_path / "again.jpg").read_bytes()


def test_the_catalogue_has_the_true_lengths_with_the_published_scatter(tmp_path):
    """A large catalogue without images: the scatter between people, the units, and the published ceiling."""
    many = dataclasses.replace(SMALL, catalogue=400)
    rng = np.random.default_rng(0)
    galaxies, redshift = galaxy_zoo._draw_measured(rng, many)
    truth = pd.DataFrame([dataclasses.asdict(g) for g in galaxies]).assign(GalaxyID=range(400))
    truth["bar_length_arcsec"] = [g.bar_length for g in galaxies]
    galaxy_zoo._save_catalogue(tmp_path, truth, redshift, many, rng)
    catalogue = read_catalogue(tmp_path)
    true = truth["bar_length_arcsec"].to_numpy()
    people = catalogue_arcsec(catalogue)
    assert np.median(people / true) == pytest.approx(1, abs=0.02)
    assert correlation(people, true) > 0.95
    assert catalogue["bar_meas"].between(3, 11).all()
    assert (catalogue["length_stdev"] / catalogue["length_avg"]).median() == pytest.approx(0.149, abs=0.02)
    assert catalogue["length_scaled"].median() == pytest.approx(0.452, abs=0.05)
    assert ceiling(catalogue)["correlation"] == pytest.approx(0.973, abs=0.015)
    assert np.allclose(to_kpc(people, catalogue), catalogue["length_avg"], rtol=1e-4)
