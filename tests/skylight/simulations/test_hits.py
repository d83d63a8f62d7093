"""The simulated candidates: their signal and noise, their footprints, and the files."""

import numpy as np
import pandas as pd
import pytest

from skylight.candidates import hits
from skylight.simulations import hits as hits_simulation
from skylight.simulations.hits import KINDS, PATCH, REAL, Matching


@pytest.fixture(scope="module")
def batch():
    return hits_simulation.batch(600, (6, 60), np.random.default_rng(0))


def test_shapes_labels_and_truth(batch):
    assert batch["stamps"].shape == (600, 21, 21, 4) and batch["stamps"].dtype == np.float32
    real = batch["kinds"] == REAL
    assert np.array_equal(batch["labels"], real) and 250 < real.sum() < 350
    assert set(batch["kinds"]) == set(range(len(KINDS)))
    assert batch["masks"][real].any(axis=(1, 2)).all() and not batch["masks"][~real].any()
    assert not hits.faults(hits.Chunk(batch["stamps"], batch["labels"]))


def test_real_sources_have_the_chosen_snr(batch):
    real = (batch["kinds"] == REAL) & np.isfinite(batch["stamps"]).all(axis=(1, 2, 3))
    wanted, measured = batch["snr"][real], hits.measured_snr(batch["stamps"][real])
    assert wanted.min() >= 6 and wanted.max() <= 60
    # The measured SNR is a little lower: the filter does not have the width of the seeing, and the noise is correlated.
    assert 0.75 < np.median(measured / wanted) < 1.1


def test_the_light_of_a_source_is_inside_its_footprint(batch):
    bright = (batch["labels"] == 1) & (batch["snr"] > 25) & np.isfinite(batch["stamps"]).all(axis=(1, 2, 3))
    difference, masks = batch["stamps"][bright][..., 2], batch["masks"][bright]
    peak = difference.reshape(len(difference), -1).argmax(axis=1)
    assert bright.sum() > 50 and masks.reshape(len(masks), -1)[np.arange(len(masks)), peak].all()
    inside = (difference * masks).sum(axis=(1, 2)) / masks.sum(axis=(1, 2))
    outside = (difference * ~masks).sum(axis=(1, 2)) / (~masks).sum(axis=(1, 2))
    assert (inside > 5 * np.abs(outside)).mean() > 0.95


def test_the_snr_difference_of_empty_sky_has_a_standard_deviation_of_1(batch):
    """Measured in stamps of noise peaks, away from the peak."""
    peaks = batch["stamps"][batch["kinds"] == KINDS.index("noise peak")][..., 3]
    corners = np.concatenate([peaks[:, :4].ravel(), peaks[:, -4:].ravel()])
    spread = np.subtract(*np.nanpercentile(corners, [75, 25])) / 1.349
    assert spread == pytest.approx(1, abs=0.05)


def test_matching_gives_the_template_the_seeing_of_the_science_image():
    sigma = np.array([2.4])
    narrow = hits_simulation.gaussian(np.ones(1), np.zeros(1), np.zeros(1), np.array([[4.0, 4.0, 0.0]]))
    wide = hits_simulation.gaussian(np.ones(1), np.zeros(1), np.zeros(1), np.array([[4 + sigma[0] ** 2] * 2 + [0.0]]))
    matching = Matching(sigma, np.array([True]))
    assert np.allclose(matching.template(narrow), wide, atol=1e-5)
    assert np.array_equal(matching.science(narrow), narrow)
    noise = np.random.default_rng(0).normal(size=(200, PATCH, PATCH))
    many = Matching(np.repeat(sigma, 200), np.ones(200, bool))
    flat = {"template": np.ones_like(noise), "science": np.zeros_like(noise)}
    assert many.template(noise).var() == pytest.approx(many.variance(flat).mean(), rel=0.02)


def test_a_survey_depends_on_its_seed_alone(tmp_path):
    def write(name, seed):
        (tmp_path / name).mkdir()
        counts = {"train": 40, "validation": 20, "test": 25}
        hits_simulation.simulate(tmp_path / name, counts, chunk_size=30, snr=(6, 60), seed=seed)
        return {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.npz")}

    first = write("first", 0)
    assert sorted(map(str, first)) == sorted(
        f"{folder}{part}/chunk_{c:04d}.npz"
        for folder in ("", "truth/")
        for part, chunks in (("train", 2), ("validation", 1), ("test", 1))
        for c in range(chunks)
    )
    assert write("again", 0) == first
    other = write("other", 1)
    assert not any(other[name] == content for name, content in first.items())
    stamps = [hits.read_chunk(tmp_path / f"first/{part}/chunk_0000.npz").stamps for part in ("validation", "test")]
    assert not np.array_equal(stamps[0][:20], stamps[1][:20])
    labels = hits.read_chunk(tmp_path / "first/test/chunk_0000.npz").labels
    masks = hits.footprints(tmp_path / "first/truth", "test", pd.DataFrame({"chunk": "chunk_0000", "row": range(25)}))
    assert np.array_equal(masks.any(axis=(1, 2)), labels == 1)
