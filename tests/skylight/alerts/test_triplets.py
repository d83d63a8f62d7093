"""Triplets: equal to those of the published code, and every bad packet listed with its reason."""

import gzip
import io
import warnings

import numpy as np
import pandas as pd
import pytest
from astropy.io import fits

from skylight.alerts.packets import Alert, alerts, packed, write
from skylight.alerts.triplets import BATCH, load, read_labels, triplet, triplets, write_triplets
from skylight.errors import InputError
from skylight.simulations.alerts import simulate


def published(cutouts):
    """Return the triplet as braai's code makes it, line by line, in double precision."""
    result = np.zeros((63, 63, 3))
    for channel, cutout in enumerate(cutouts):
        with gzip.open(io.BytesIO(cutout), "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with fits.open(io.BytesIO(file.read())) as hdus:
                data = np.nan_to_num(hdus[0].data.astype(float))
        data /= np.linalg.norm(data)
        if data.shape != (63, 63):
            missing = [(0, 63 - data.shape[0]), (0, 63 - data.shape[1])]
            data = np.pad(data, missing, mode="constant", constant_values=1e-9)
        result[:, :, channel] = data
    return result


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    folder = tmp_path_factory.mktemp("survey") / "ztf_alerts"
    simulate(folder, 60, seed=3, workers=1)
    return folder


def check(alert):
    ours, theirs = triplet(alert), published(alert.cutouts)
    assert ours.dtype == np.float32
    assert np.abs(ours - theirs).max() < 1e-7
    assert np.array_equal(ours == 0, theirs == 0)
    assert np.array_equal(ours == np.float32(1e-9), theirs == 1e-9)
    return ours


@pytest.mark.slow
def test_triplets_of_simulated_packets_equal_the_published_code(survey):
    made = np.stack([check(alert) for alert in alerts([survey])])
    assert (made == np.float32(1e-9)).any() and (made == 0).any()  # some are at an edge, some are masked


def test_triplets_of_real_packets_equal_the_published_code(real_data):
    assert len([check(alert) for alert in alerts([real_data("ztf_alerts")])]) == 6


GOOD = packed(np.random.default_rng(0).normal(100, 5, (63, 63)))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (None, "cutoutTemplate is missing"),
        (GOOD[:500], "cutoutTemplate: not gzip"),
        (gzip.compress(b"x" * 3000, mtime=0), "cutoutTemplate: not FITS"),
        (packed(np.full((63, 63), np.nan)), "cutoutTemplate: no pixel is finite"),
        (packed(np.zeros((63, 63))), "cutoutTemplate: the norm of the pixels is 0"),
        (packed(np.full((63, 63), np.inf)), "cutoutTemplate: no pixel is finite"),
        (packed(np.ones((64, 63))), "cutoutTemplate: 64 x 63 pixels, more than 63 x 63"),
    ],
)
def test_a_bad_cutout_is_an_error_with_the_reason(bad, reason):
    with pytest.raises(ValueError, match=reason):
        triplet(Alert("file", 1, "ZTF1", (GOOD, bad, GOOD)))


def test_a_stream_continues_after_a_bad_packet():
    stream = [Alert("a", 1, "x", (GOOD,) * 3), Alert("b", 2, "x", (GOOD, None, GOOD)), Alert("c", 3, "x", (GOOD,) * 3)]
    first, second, third = triplets(stream)
    assert (first[0].candid, third[0].candid) == (1, 3)
    assert (second.source, second.id, second.reason) == ("b", "2", "cutoutTemplate is missing")


def test_the_arrays_have_one_order_and_rejected_packets_are_listed(survey, tmp_path):
    packets = tmp_path / "packets"
    packets.mkdir()
    for path in (survey / "packets").iterdir():
        (packets / path.name).write_bytes(path.read_bytes())
    (packets / "broken.avro").write_bytes(b"not avro")
    labels = pd.read_csv(survey / "candidates.csv")
    labels.iloc[1:].to_csv(tmp_path / "labels.csv")
    counts = write_triplets([packets], tmp_path / "labels.csv", 0.05, tmp_path / "out")
    assert counts["triplets"] == 59 == counts["real"] + counts["bogus"] and counts["rejected"] == 2
    rejected = pd.read_csv(tmp_path / "out/rejected.csv", dtype=str)
    assert set(rejected["reason"].str.split("(").str[0].str.strip()) == {
        "corrupt, or not Avro",
        "no label in labels.csv",
    }
    assert list(rejected) == ["source", "id", "reason"]
    assert rejected["id"].dropna().tolist() == [str(labels["candid"][0])]
    pixels, candids, label = (np.load(tmp_path / f"out/{name}.npy") for name in ("triplets", "candid", "label"))
    truth = labels.set_index("candid")["label"]
    assert np.array_equal(truth.loc[candids], label)
    for row in (0, 30, 58):
        (alert,) = alerts([packets / f"{candids[row]}.avro"])
        assert np.array_equal(triplet(alert), pixels[row])
    message = "2 of 61 packets rejected, realbogus.transform.max_rejected allows a share of 0.01; the first: "
    with pytest.raises(InputError, match=message):
        write_triplets([packets], tmp_path / "labels.csv", 0.01, tmp_path / "strict")


def test_alerts_are_found_by_their_candid(survey, tmp_path):
    write_triplets([survey / "packets"], survey / "candidates.csv", 0, tmp_path / "out")
    loaded = load(tmp_path / "out")
    assert isinstance(loaded.triplets, np.memmap) and loaded.triplets.shape == (60, 63, 63, 3)
    some = pd.Series([loaded.candids[7], loaded.candids[59], loaded.candids[7]])
    assert loaded.rows(some).tolist() == [7, 59, 7]
    assert loaded.rows([]).dtype == int and not len(loaded.rows([]))
    truth = pd.read_csv(survey / "candidates.csv").set_index("candid")
    assert loaded.labels.tolist() == truth["label"].loc[loaded.candids].tolist()
    (first,) = alerts([survey / f"packets/{loaded.candids[0]}.avro"])
    assert loaded.objectids[0] == first.objectid
    with pytest.raises(InputError, match="candid 5: not among the 60 triplets"):
        loaded.rows([loaded.candids[0], 5])


@pytest.mark.slow
def test_batches_of_any_length_are_complete(tmp_path, survey):
    packets = [path.read_bytes() for path in sorted((survey / "packets").iterdir())[:2]]
    (tmp_path / "many.avro").write_bytes(b"".join(packets * (BATCH // 2)) + packets[0])
    counts = write_triplets([tmp_path / "many.avro"], None, 0, tmp_path / "out")
    assert counts["triplets"] == BATCH + 1 == len(np.load(tmp_path / "out/triplets.npy"))
    assert len(np.load(tmp_path / "out/objectid.npy")) == BATCH + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("candid,class\n1,1\n", "label"),
        ("candid,label\n1,1\n1,0\n", "line 3: candid twice"),
        ("candid,label\n1,1\n2,3\n", "line 3: bad label"),
    ],
)
def test_bad_labels_are_errors(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_labels(tmp_path / "labels.csv")
    with pytest.raises(InputError, match="no such file"):
        read_labels(tmp_path / "nowhere.csv")


def test_an_empty_label_is_none(tmp_path):
    (tmp_path / "labels.csv").write_text("candid,label\n1105522281015015000,1\n2,\n3,0\n")
    assert read_labels(tmp_path / "labels.csv") == {1105522281015015000: 1, 3: 0}


def test_nothing_to_transform_is_an_error(tmp_path):
    write(tmp_path / "none.avro", [])
    with pytest.raises(InputError, match="0 of 0 packets"):
        write_triplets([tmp_path / "none.avro"], None, 0.5, tmp_path / "out")
