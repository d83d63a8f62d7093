"""Augmentation, rejection, and a streaming pass whose result does not depend on how it is cut into tasks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skylight import params
from skylight.errors import InputError
from skylight.light_curves import arrays as transformation
from skylight.light_curves.arrays import Augmentation, transform
from skylight.light_curves.dmdt import DmDt
from skylight.light_curves.reading import open_survey
from skylight.params import check
from skylight.params.light_curves import CrtsLayout

GRID = params.load().periodic.dmdt
DMDT = DmDt(GRID.dm_edges, GRID.dt_edges)
CLASSES = ["EW", "RRab"]
VANILLA = Augmentation("vanilla", 0, 0)


@pytest.fixture
def survey(tmp_path):
    """Six EW and three RRab in the published layout; RRab number 8 has a broken row."""
    root = tmp_path / "v0"
    labels = [(f"{100 + i}", 1 if i < 6 else 4) for i in range(9)]
    for lcid, number in labels:
        folder = root / f"indiv_lc/class{number}"
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng(int(lcid))
        rows = [
            f"{lcid},{t:.5f},{m:.3f},0.3" for t, m in zip(rng.uniform(0, 900, 30), rng.normal(15, 1, 30), strict=True)
        ]
        (folder / f"{lcid}.csv").write_text("\n".join(rows))
    with (root / "indiv_lc/class4/108.csv").open("a") as file:
        file.write("\n108,x,15,0.1")
    (root / "classes.csv").write_text("lcid class\n" + "".join(f"{lcid} {number}\n" for lcid, number in labels))
    return open_survey(check(CrtsLayout, {"layout": "crts", "path": str(root)}), CLASSES)


def run(survey, folder, augmentation=VANILLA, max_rejected=0.2):
    counts = transform(survey, DMDT, CLASSES, augmentation, max_rejected, Path(folder))
    return counts, *(np.load(f"{folder}/{name}.npy") for name in ("X_2d", "X_features", "y", "lcid"))


def test_vanilla_takes_each_good_object_once(survey, tmp_path):
    counts, images, features, labels, ids = run(survey, tmp_path / "out")
    assert counts == {"EW": 6, "RRab": 2}
    assert images.shape == (8, 22, 24, 1) and features.shape == (8, 21)
    assert labels.tolist() == [0] * 6 + [1] * 2 and ids.tolist() == [f"{100 + i}" for i in range(8)]
    curves = [source.read() for source in survey.only(list(ids)).sources()]
    assert np.array_equal(images, DMDT.images(curves))
    rejected = pd.read_csv(tmp_path / "out/rejected.csv", dtype=str)
    assert rejected.to_numpy().tolist() == [["108", "RRab", "108.csv line 31: not a number: 'x'"]]


def test_double_repeats_every_class_but_ew(survey, tmp_path):
    counts, images, _, _, ids = run(survey, tmp_path / "out", Augmentation("double", 0, 0))
    assert counts == {"EW": 6, "RRab": 4}
    assert ids[-4:].tolist() == ["106", "106", "107", "107"]
    assert np.array_equal(images[-4], images[-3])


def test_sample_1_fills_up_each_class_with_noisy_repeats(survey, tmp_path):
    good = survey.only([f"{100 + i}" for i in range(8)])
    counts, images, features, _, ids = run(good, tmp_path / "out", Augmentation("sample_1", 7, 0))
    assert counts == {"EW": 7, "RRab": 7}
    first = np.unique(ids, return_index=True)[1]
    _, plain, _, _, _ = run(good, tmp_path / "plain")
    assert np.array_equal(images[np.sort(first)], plain), "the first copy is the object itself"
    repeat = next(i for i in range(1, len(ids)) if ids[i] == ids[i - 1])
    moved = features[repeat, 0] - features[repeat - 1, 0]
    # The mean of 30 magnitudes moves by sigma / sqrt(30), sigma being a third of the error of 0.3 mag.
    assert 0 < abs(moved) < 5 * 0.1 / 30**0.5


def test_the_result_does_not_depend_on_the_tasks(survey, tmp_path, monkeypatch):
    augmentation = Augmentation("sample_1", 9, 3)
    whole = run(survey, tmp_path / "whole", augmentation)
    monkeypatch.setattr(transformation, "BATCH", 2)  # several tasks in several processes
    parts = run(survey, tmp_path / "parts", augmentation)
    assert all(np.array_equal(a, b) for a, b in zip(whole[1:], parts[1:], strict=True))


def test_too_many_rejected_is_an_error_with_the_first_reason(survey, tmp_path):
    with pytest.raises(InputError, match=r"1 of 9 objects rejected, more than max_rejected \(0\.1\).*108"):
        run(survey, tmp_path / "out", max_rejected=0.1)
