"""Oversampling, rejection, and a streaming pass whose result does not depend on the size of its tasks."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skylight import params
from skylight.errors import InputError
from skylight.light_curves import arrays, transform
from skylight.light_curves.dmdt import DmDt
from skylight.light_curves.reading import open_survey
from skylight.light_curves.transform import Oversampling, write_arrays
from skylight.params import check
from skylight.params.light_curves import CrtsLayout, TableLayout

GRID = params.load().periodic.dmdt
DMDT = DmDt(GRID.dm_edges, GRID.dt_edges)
CLASSES = ["EW", "RRab"]
VANILLA = Oversampling("vanilla", 0, 0)


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


def run(survey, folder, oversampling=VANILLA, max_rejected=0.2):
    counts, *_ = write_arrays(survey, DMDT, CLASSES, oversampling, max_rejected, Path(folder))
    data = arrays.load(folder)
    return counts, data.images, data.features, data.labels, data.ids


def test_vanilla_takes_each_good_object_once(survey, tmp_path):
    counts, images, features, labels, ids = run(survey, tmp_path / "out")
    assert counts == {"EW": 6, "RRab": 2}
    assert images.shape == (8, 22, 24, 1) and features.shape == (8, 21)
    assert labels.tolist() == [0] * 6 + [1] * 2 and ids.tolist() == [f"{100 + i}" for i in range(8)]
    curves = [source.read() for source in survey.only(list(ids)).sources()]
    assert np.array_equal(images, DMDT.images(curves))
    rejected = pd.read_csv(tmp_path / "out/rejected.csv", dtype=str)
    file = str(tmp_path / "v0/indiv_lc/class4/108.csv")
    assert rejected.to_dict("records") == [{"source": file, "id": "108", "reason": "line 31: not a number: 'x'"}]


def test_double_repeats_every_class_but_ew(survey, tmp_path):
    counts, images, _, _, ids = run(survey, tmp_path / "out", Oversampling("double", 0, 0))
    assert counts == {"EW": 6, "RRab": 4}
    assert ids[-4:].tolist() == ["106", "106", "107", "107"]
    assert np.array_equal(images[-4], images[-3])


def test_sample_1_draws_noisy_repeats_of_each_class_up_to_its_size(survey, tmp_path):
    good = survey.only([f"{100 + i}" for i in range(8)])
    counts, images, features, _, ids = run(good, tmp_path / "out", Oversampling("sample_1", 7, 0))
    assert counts == {"EW": 7, "RRab": 7}
    first = np.unique(ids, return_index=True)[1]
    _, plain, _, _, _ = run(good, tmp_path / "plain")
    assert np.array_equal(images[np.sort(first)], plain), "the first copy is the object itself"
    repeat = next(i for i in range(1, len(ids)) if ids[i] == ids[i - 1])
    moved = features[repeat, 0] - features[repeat - 1, 0]
    # The mean of 30 magnitudes moves by sigma / sqrt(30), sigma being a third of the error of 0.3 mag.
    assert 0 < abs(moved) < 5 * 0.1 / 30**0.5


def test_the_result_does_not_depend_on_the_size_of_the_tasks(survey, tmp_path, monkeypatch):
    oversampling = Oversampling("sample_1", 9, 3)
    whole = run(survey, tmp_path / "whole", oversampling)
    monkeypatch.setattr(transform, "BATCH", 2)  # several tasks in several processes
    parts = run(survey, tmp_path / "parts", oversampling)
    assert all(np.array_equal(a, b) for a, b in zip(whole[1:], parts[1:], strict=True))


def test_the_number_of_rejected_objects_is_returned(survey, tmp_path):
    assert write_arrays(survey, DMDT, CLASSES, VANILLA, 0.2, tmp_path / "out")[1] == 1


def test_too_many_rejected_is_an_error_with_the_first_reason(survey, tmp_path):
    message = (
        r"1 of 9 light curves rejected, periodic\.transform\.max_rejected allows a share of 0\.1; the first: .*108"
    )
    with pytest.raises(InputError, match=message):
        run(survey, tmp_path / "out", max_rejected=0.1)


def test_an_object_of_an_unknown_class_is_rejected_with_its_row(survey, tmp_path):
    table = tmp_path / "v0/classes.csv"
    table.write_text(table.read_text().replace("102 1", "102 99"))
    data = check(CrtsLayout, {"layout": "crts", "path": str(tmp_path / "v0")})
    run(open_survey(data, CLASSES), tmp_path / "out", max_rejected=0.3)
    first = pd.read_csv(tmp_path / "out/rejected.csv", dtype=str).iloc[0]
    assert first.tolist() == [f"{table} row 3", "102", "unknown class '99'"]


def test_dropped_rows_are_counted_and_do_not_change_the_image(survey, tmp_path):
    plain = run(survey, tmp_path / "plain")
    first = tmp_path / "v0/indiv_lc/class1/100.csv"
    rows = first.read_text().splitlines()
    first.write_text("\n".join([*rows, *["100,300.5,99.999,9.999"] * 10, *["100,300.5,-20.1,0.8"] * 10, *rows[:3]]))
    counts, rejected, dropped = write_arrays(survey, DMDT, CLASSES, VANILLA, 0.2, tmp_path / "out")
    assert counts == {"EW": 6, "RRab": 2} and rejected == 1
    assert dropped == {"mag_range": 20, "duplicates": 3}
    data = arrays.load(tmp_path / "out")
    assert np.array_equal(data.images, plain[1]) and np.array_equal(data.features, plain[2])
    assert np.isclose(data.images[0].sum(), 255)


def test_a_row_without_an_id_is_one_rejection(tmp_path):
    rows = [f"{star},{time},15.{time},0.1" for star in ("1", "2", "") for time in range(9)]
    (tmp_path / "all.csv").write_text("oid,t,m,e\n" + "\n".join(rows) + "\n")
    columns = {"id": "oid", "time": "t", "mag": "m", "magerr": "e"}
    data = {"layout": "table", "path": str(tmp_path), "table": "all.csv", "columns": columns}
    table = open_survey(check(TableLayout, data), CLASSES)
    counts, rejected, _ = write_arrays(table, DMDT, CLASSES, VANILLA, 0.5, tmp_path / "out")
    assert counts == {"": 2} and rejected == 1
    assert "9 rows have no id" in (tmp_path / "out/rejected.csv").read_text()
