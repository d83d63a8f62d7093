"""The simulated survey has the published layout; reading it finds every kind of fault; the real catalogue fits in."""

import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from skylight.errors import InputError
from skylight.evaluation.bootstrap import correlation
from skylight.galaxies import catalogue as survey
from skylight.galaxies.catalogue import LENGTH_UNIT, catalogue_arcsec, to_kpc
from skylight.galaxies.images import read_any_image, save_rejected, shrink, small_images, unlisted
from skylight.galaxies.length_scores import ceiling
from skylight.galaxies.questions import ANSWERS
from skylight.simulations import galaxy_zoo as simulation
from skylight.simulations.galaxies import Galaxy, bar_mask, render

SMALL = simulation.Survey(
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
    simulation.simulate(folder, SMALL)
    return folder


@pytest.fixture
def copy(simulated, tmp_path):
    return shutil.copytree(simulated, tmp_path / "copy")


def edit(path, change):
    table = pd.read_csv(path)
    change(table).to_csv(path, index=False)


def test_the_layout_is_the_published_one(simulated):
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
    assert list(pd.read_csv(simulated / "hoyle_barlengths.csv")) == survey.CATALOGUE_COLUMNS
    for path in simulated.rglob("*.jpg"):
        with Image.open(path) as image:
            assert (image.size, image.mode, image.format) == ((424, 424), "RGB", "JPEG")


def test_a_picture_does_not_depend_on_who_renders_it(simulated, tmp_path):
    truth = pd.read_csv(simulated / "truth.csv").iloc[0]
    rng = np.random.default_rng(SMALL.seed)
    simulation._draw_measured(rng, SMALL)
    galaxies = simulation._draw_galaxies(rng, SMALL)
    render(galaxies[0], 424, 0.02, np.random.default_rng([SMALL.seed, 0])).save(tmp_path / "again.jpg", quality=92)
    first = simulated / "images_training_rev1" / f"{truth['GalaxyID']}.jpg"
    assert first.read_bytes() == (tmp_path / "again.jpg").read_bytes()


def test_lengths_of_the_catalogue_follow_the_truth_and_the_pictures(tmp_path):
    """The catalogue alone, large: people's scatter, the units, and the ceiling of the published catalogue."""
    many = dataclasses.replace(SMALL, catalogue=400)
    rng = np.random.default_rng(0)
    galaxies, redshift = simulation._draw_measured(rng, many)
    truth = pd.DataFrame([dataclasses.asdict(g) for g in galaxies]).assign(GalaxyID=range(400))
    truth["bar_length_arcsec"] = [g.bar_length for g in galaxies]
    simulation._save_catalogue(tmp_path, truth, redshift, many, rng)
    catalogue = survey.read_catalogue(tmp_path)
    true = truth["bar_length_arcsec"].to_numpy()
    people = catalogue_arcsec(catalogue)
    assert np.median(people / true) == pytest.approx(1, abs=0.02)
    assert correlation(people, true) > 0.95
    assert catalogue["bar_meas"].between(3, 11).all()
    assert (catalogue["length_stdev"] / catalogue["length_avg"]).median() == pytest.approx(0.149, abs=0.02)
    assert catalogue["length_scaled"].median() == pytest.approx(0.452, abs=0.05)
    assert ceiling(catalogue)["correlation"] == pytest.approx(0.973, abs=0.015)
    assert np.allclose(to_kpc(people, catalogue), catalogue["length_avg"], rtol=1e-4)


def test_a_bar_on_its_mask_is_as_long_as_the_truth_says():
    galaxy = next(g for g in simulation._draw_galaxies(np.random.default_rng(5), SMALL) if g.bar_length > g.petror90)
    rows, columns = bar_mask(galaxy, 424, 0.02).nonzero()
    points = np.stack([rows, columns], axis=1)
    longest = np.sqrt(((points[:, None] - points[None, :]) ** 2).sum(axis=-1).max())
    assert longest * 0.02 * galaxy.petror90 == pytest.approx(galaxy.bar_length, rel=0.08)
    assert not bar_mask(dataclasses.replace(galaxy, bar_fraction=0.0), 424, 0.02).any()


def test_the_bar_is_where_the_mask_is():
    """Without and with its bar, a galaxy differs most inside the mask."""
    galaxy = Galaxy(
        petror90=15.0, r_mag=15.0, seeing=1.2, cos_inclination=0.8, position_angle=0.7, disc_fraction=0.7,
        disc_scale=0.3, bulge_radius=0.07, bulge_index=2.0, bar_fraction=0.2, bar_radius=0.5, bar_axis_ratio=0.3,
        bar_angle=0.5, arm_fraction=0.0, arm_count=0, pitch=0.3, arm_sharpness=1.0, ring_fraction=0.0,
        clumpiness=0.0, dust_lane=0.0, companion=0.0, artifact=False,
    )  # fmt: skip
    barless = dataclasses.replace(galaxy, bar_fraction=0.0, disc_fraction=0.9)
    with_bar, without = (
        np.asarray(render(g, 424, 0.02, np.random.default_rng(0)), dtype=float).mean(axis=2) for g in (galaxy, barless)
    )
    mask = bar_mask(galaxy, 424, 0.02)
    gain = with_bar - without
    assert gain[mask].mean() > 20 * abs(gain[~mask].mean())


def test_reading_and_splitting(simulated):
    assert list(survey.read_solutions(simulated / survey.SOLUTIONS)) == ["GalaxyID", *ANSWERS]
    catalogue = survey.read_catalogue(simulated)
    assert len(catalogue) == 9
    first, second = survey.split(catalogue, 0.34, 123, "bars.xai.validation_split")
    assert (len(first), len(second)) == (3, 6)
    assert set(first["objid"]) | set(second["objid"]) == set(catalogue["objid"])
    assert np.allclose(LENGTH_UNIT * catalogue["length_scaled"] * catalogue["PETROR90_R"], catalogue_arcsec(catalogue))


@pytest.mark.parametrize("fraction", [0.05, 1.0])
def test_an_empty_part_is_an_error(simulated, fraction):
    with pytest.raises(InputError, match=r"bars.xai.validation_split: .* part empty"):
        survey.split(survey.read_catalogue(simulated), fraction, 1, "bars.xai.validation_split")


FAULTS = {
    "no column Class3.1": (survey.SOLUTIONS, lambda t: t.drop(columns="Class3.1")),
    r"row 4: Class2.1 must be a fraction in \[0, 1\], got 1.2": (
        survey.SOLUTIONS,
        lambda t: t.assign(**{"Class2.1": t["Class2.1"].where(t.index != 2, 1.2)}),
    ),
    r"row 2: Class1.1 must be a fraction in \[0, 1\], got nan": (
        survey.SOLUTIONS,
        lambda t: t.assign(**{"Class1.1": t["Class1.1"].where(t.index != 0)}),
    ),
    r"row 14: GalaxyID \d+ appears twice": (survey.SOLUTIONS, lambda t: pd.concat([t, t[:1]])),
    r"hoyle_barlengths.csv row 11: objid \d+ appears twice": (survey.CATALOGUE, lambda t: pd.concat([t, t[3:4]])),
    "no column length_scaled": (survey.CATALOGUE, lambda t: t.drop(columns="length_scaled")),
    r"hoyle_barlengths.csv .*length_scaled must be a positive number, got -1": (
        survey.CATALOGUE,
        lambda t: t.assign(length_scaled=-1.0),
    ),
    r"hoyle_barlengths.csv row 7: objid \d+ is not in gz2_filename_mapping.csv": (
        survey.MAPPING,
        lambda t: t.drop(index=5),
    ),
    r"hoyle_barlengths.csv row 2: objid \d+ is not in gz2sample.csv": (survey.SAMPLE, lambda t: t[1:]),
    r"gz2sample.csv .*PETROR90_R must be a positive number, got 0": (survey.SAMPLE, lambda t: t.assign(PETROR90_R=0)),
}


@pytest.mark.parametrize("message", FAULTS)
def test_a_faulty_table_is_an_error_of_one_line(copy, message):
    name, change = FAULTS[message]
    edit(copy / name, change)
    with pytest.raises(InputError, match=message) as error:
        survey.read_solutions(copy / survey.SOLUTIONS)
        survey.read_catalogue(copy)
    assert "\n" not in str(error.value)


def test_a_missing_or_empty_file_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"absent.csv: no such file"):
        survey.read_solutions(tmp_path / "absent.csv")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match=r"empty.csv: not a CSV table"):
        survey.read_solutions(tmp_path / "empty.csv")


def test_bad_images_are_left_out_and_listed(copy, tmp_path, capsys):
    folder = copy / survey.TRAINING_IMAGES
    ids = survey.read_solutions(copy / survey.SOLUTIONS)["GalaxyID"]
    paths = [folder / f"{i}.jpg" for i in ids]
    paths[1].unlink()
    paths[4].write_bytes(paths[4].read_bytes()[:3000])
    Image.new("L", (424, 424)).save(paths[7])
    Image.new("RGB", (424, 424)).save(folder / "7.jpg")
    images, kept, rejected = small_images(paths, 190, 72, tmp_path / "images.npy")
    assert images.shape == (9, 72, 72, 3)
    assert list(kept) == [0, 2, 3, 5, 6, 8, 9, 10, 11]
    assert list(rejected["file"]) == [paths[i].name for i in (1, 4, 7)]
    for reason, words in zip(rejected["reason"], ("no such image", "truncated", "not an RGB image"), strict=True):
        assert words in reason
    extra = unlisted(folder, ids)
    assert list(extra["file"]) == ["7.jpg"]
    everything = pd.concat([rejected, extra])
    save_rejected(tmp_path / "rejected.csv", everything, 4)
    assert "left out 4 images" in capsys.readouterr().out
    with pytest.raises(InputError, match=rf"4 images rejected, more than max_rejected = 3; .*{paths[1].name}"):
        save_rejected(tmp_path / "rejected.csv", everything, 3)
    assert len(pd.read_csv(tmp_path / "rejected.csv")) == 4


def test_shrinking_keeps_the_centre():
    values = np.zeros((424, 424, 3), dtype=np.uint8)
    values[117:307, 117:307] = 200  # the central 190 pixels
    assert (shrink(Image.fromarray(values), 190, 72)[1:-1, 1:-1] > 170).all()
    small = shrink(Image.fromarray(values), 424, 106)
    assert small.mean() == pytest.approx(200 * (190 / 424) ** 2, rel=0.02)


@pytest.mark.parametrize("suffix", ["png", "fits"])
def test_other_kinds_of_images(suffix, tmp_path):
    from astropy.io import fits

    rng = np.random.default_rng(0)
    y, x = np.mgrid[:80, :80] - 39.5
    galaxy = 20 * np.exp(-np.hypot(x, y - 10) / 6)
    path = tmp_path / f"galaxy.{suffix}"
    if suffix == "fits":
        fits.writeto(path, 1000 + galaxy + rng.normal(0, 0.3, galaxy.shape))
    else:
        Image.fromarray(np.clip(10 * galaxy, 0, 255).astype(np.uint8)).save(path)
    picture = read_any_image(path)
    assert (picture.mode, picture.size) == ("RGB", (80, 80))
    peak_row = np.unravel_index(np.asarray(picture).sum(axis=2).argmax(), (80, 80))[0]
    assert peak_row == pytest.approx(49.5 if suffix == "png" else 29.5, abs=2)  # FITS rows count from below


def test_other_images_that_will_not_do(tmp_path):
    Image.new("RGB", (30, 40)).save(tmp_path / "wide.png")
    (tmp_path / "text.fits").write_text("no image")
    for name, words in (("wide.png", "must be square"), ("text.fits", "FITS"), ("absent.jpg", "no such image")):
        with pytest.raises(InputError, match=rf"{name}: .*{words}"):
            read_any_image(tmp_path / name)


def test_the_real_catalogue(real_data, simulated, tmp_path):
    """The 3,150 published bars with simulated pictures and sizes: join, split, scaling and reading."""
    shutil.copy(real_data("hoyle2011") / "hoyle_barlengths.csv", tmp_path)
    real = pd.read_csv(tmp_path / "hoyle_barlengths.csv")
    assets = np.random.default_rng(0).permutation(400_000)[: len(real)] + 1
    mapping = pd.DataFrame({"objid": real["objid"], "sample": "original", "asset_id": assets})
    mapping.sample(frac=1, random_state=1).to_csv(tmp_path / survey.MAPPING, index=False)
    # Sizes that make a galaxy's diameter, length_avg / length_scaled kpc/h, two PETROR90_R at redshift 0.05.
    sizes = pd.DataFrame({"OBJID": real["objid"], "PETROR90_R": real["length_avg"] / real["length_scaled"] / 2 / 0.68})
    sizes.to_csv(tmp_path / survey.SAMPLE, index=False)
    pictures = sorted((simulated / survey.CATALOGUE_IMAGES).iterdir())
    (tmp_path / survey.CATALOGUE_IMAGES).mkdir(parents=True)
    for i, asset in enumerate(assets):
        (tmp_path / survey.CATALOGUE_IMAGES / f"{asset}.jpg").hardlink_to(pictures[i % len(pictures)])

    catalogue = survey.read_catalogue(tmp_path)
    assert (catalogue["objid"] == real["objid"]).all()
    assert (catalogue["asset_id"] == assets).all()
    val, test = survey.split(catalogue, 0.3334, 123, "bars.xai.validation_split")
    assert (len(val), len(test)) == (1050, 2100)
    assert np.allclose(to_kpc(catalogue_arcsec(test), test), test["length_avg"])
    found = ceiling(catalogue)
    assert found["rmse"] == pytest.approx(0.86, abs=0.005)
    assert found["correlation"] == pytest.approx(0.973, abs=0.0005)
    paths = [tmp_path / survey.CATALOGUE_IMAGES / f"{asset}.jpg" for asset in val["asset_id"]]
    images, kept, rejected = small_images(paths, 190, 72, tmp_path / "images.npy")
    assert len(images) == len(kept) == 1050 and rejected.empty
