"""HiTS chunks: what is read, what is refused, how stamps are scaled, and what the networks get."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from skylight.candidates import hits
from skylight.errors import InputError
from skylight.rejected import RejectionLog


def candidates(count=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 21, 21, 4)).astype(np.float32), np.arange(count) % 2


@pytest.fixture(params=[".npz", ".pkl"])
def chunk(request, tmp_path):
    path = tmp_path / f"chunk_0000{request.param}"
    hits.write_chunk(path, *candidates())
    return path


def rewrite(path, **changes):
    """Write a chunk with some of its arrays changed, or left out where None."""
    stamps, labels = candidates()
    arrays = {key: stamps[..., i].reshape(len(stamps), -1) for i, key in enumerate(hits.CHANNELS.values())}
    arrays = {key: value for key, value in (arrays | {"labels": labels} | changes).items() if value is not None}
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(arrays, protocol=2))
    else:
        np.savez(path, **arrays)


def test_a_chunk_of_either_format_is_read_as_it_was_written(chunk):
    stamps, labels = candidates()
    read = hits.read_chunk(chunk)
    assert np.array_equal(read.stamps, stamps) and np.array_equal(read.labels, labels)
    first = chunk.read_bytes()
    hits.write_chunk(chunk, stamps, labels)
    assert chunk.read_bytes() == first


def test_a_chunk_without_labels_is_read_if_labels_are_not_needed(chunk):
    rewrite(chunk, labels=None)
    assert hits.read_chunk(chunk, labelled=False).labels is None
    with pytest.raises(InputError, match=r"chunk_0000.*: no array labels \(needs temp_images, .*, labels\)"):
        hits.read_chunk(chunk)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sci_images": np.zeros((6, 400))},
            r"sci_images must be stamps of 21 x 21 .* got \(6, 400\)",
        ),
        ({"temp_images": np.zeros((6, 63, 63))}, r"temp_images must be stamps .* got \(6, 63, 63\)"),
        ({"SNR_images": None}, "no array SNR_images"),
        ({"labels": np.zeros(5)}, "labels has 5 rows, but temp_images has 6"),
        ({"diff_images": np.zeros((7, 441))}, "diff_images has 7 rows, but temp_images has 6"),
        ({"diff_images": np.array(["x"] * 6)}, "diff_images must be numbers, got <U1"),
    ],
)
def test_chunks_that_do_not_fit_are_errors_that_name_the_array(chunk, changes, message):
    rewrite(chunk, **changes)
    with pytest.raises(InputError, match=message) as error:
        hits.read_chunk(chunk)
    assert str(error.value).startswith(str(chunk)) and "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.999])
def test_truncated_files_are_errors(chunk, share):
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"not a whole (pickle|\.npz file)"):
        hits.read_chunk(chunk)


def test_other_files_are_errors(tmp_path):
    path = tmp_path / "chunk.npz"
    with pytest.raises(InputError, match="no such file"):
        hits.read_chunk(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(InputError, match=r"chunk.npz: not a whole .npz file"):
        hits.read_chunk(path)
    np.savez(path, temp_images=np.array([{}, {}], dtype=object))
    with pytest.raises(InputError, match=r"chunk.npz: not a whole .npz file"):
        hits.read_chunk(path)
    with pytest.raises(InputError, match=r"no chunks \(.npz or .pkl\) in this folder"):
        hits.chunk_files(tmp_path / "nowhere")


class Evil:
    def __init__(self, function, *arguments):
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize(
    ("content", "name"),
    [
        (lambda mark: {"labels": Evil(os.system, f"touch {mark}")}, r"(posix|os)\.system"),
        (lambda mark: {"labels": Evil(eval, f"open({str(mark)!r}, 'w')")}, r"(builtins|__builtin__)\.eval"),
        (
            lambda mark: np.array([Evil(subprocess.call, ["touch", str(mark)])], dtype=object),
            r"(subprocess|commands)\.call",
        ),
        (lambda mark: pd.DataFrame({"labels": [0]}), r"(pandas|copy_reg)\..*"),
    ],
)
def test_a_pickle_that_names_anything_but_arrays_is_refused_and_does_nothing(tmp_path, content, name, protocol):
    path, mark = tmp_path / "chunk.pkl", tmp_path / "mark"
    path.write_bytes(pickle.dumps(content(mark), protocol=protocol))
    with pytest.raises(InputError, match=rf"refused: the pickle names {name}, only NumPy arrays are admitted"):
        hits.read_chunk(path)
    assert not mark.exists()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol_and_of_python_2_are_read(tmp_path, protocol):
    stamps, labels = candidates()
    path = tmp_path / "chunk.pkl"
    arrays = {key: stamps[..., i].reshape(6, -1) for i, key in enumerate(hits.CHANNELS.values())} | {"labels": labels}
    # The core of NumPy had another name before version 2, and Python 2 wrote names as bytes.
    content = pickle.dumps({key.encode(): value for key, value in arrays.items()}, protocol=protocol)
    old = content.replace(b"numpy._core", b"numpy.core") if protocol < 4 else content
    for written in (content, old):
        path.write_bytes(written)
        assert np.array_equal(hits.read_chunk(path).stamps, stamps)


def test_a_pickle_of_something_else_is_an_error(tmp_path):
    path = tmp_path / "chunk.pkl"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(InputError, match="must be a dictionary of arrays, got list"):
        hits.read_chunk(path)
    path.write_bytes(pickle.dumps({"labels": [1, 2]}))
    with pytest.raises(InputError, match="labels must be an array, got list"):
        hits.read_chunk(path)


def test_stamps_are_scaled_one_by_one_and_bad_pixels_become_0():
    stamps, _ = candidates()
    stamps[0, 3, 4, 1], stamps[1, 0, 0, 2] = np.nan, np.inf
    stamps[2, :, :, 3] = 7
    scaled = hits.scaled(stamps)
    assert scaled.dtype == np.float32 and scaled[0, 3, 4, 1] == scaled[1, 0, 0, 2] == 0
    assert not scaled[2, :, :, 3].any()
    good = np.delete(scaled.reshape(6, 441, 4), 2, axis=0)
    assert np.allclose(good.min(axis=1), 0) and np.allclose(good.max(axis=1), 1)
    one = stamps[4, :, :, 0]
    assert np.allclose(scaled[4, :, :, 0], (one - one.min()) / np.ptp(one), atol=1e-6)


def test_bad_candidates_are_listed_and_the_others_are_kept_and_loaded(tmp_path):
    stamps, labels = candidates()
    stamps[1, :, :, 0] = np.nan
    stamps[4, :, :, 2:] = np.inf
    labels[5] = 3
    folder = tmp_path / "test"
    folder.mkdir()
    hits.write_chunk(folder / "chunk_0000.npz", stamps, labels)
    hits.write_chunk(folder / "chunk_0001.pkl", *candidates(4, seed=1))
    with RejectionLog(tmp_path / "rejected.csv") as rejected:
        kept = hits.scale_part(folder, tmp_path / "test.npy", rejected)
    assert (tmp_path / "rejected.csv").read_text().splitlines() == [
        "source,id,reason",
        "test/chunk_0000.npz row 1,,template stamp has no good pixel",
        "test/chunk_0000.npz row 4,,difference stamp has no good pixel",
        "test/chunk_0000.npz row 5,,label 3 is neither 0 nor 1",
    ]
    assert list(kept["chunk"]) == ["chunk_0000"] * 3 + ["chunk_0001"] * 4
    assert list(kept["row"]) == [0, 2, 3, 0, 1, 2, 3] and list(kept["label"]) == [0, 0, 1, 0, 1, 0, 1]
    kept.to_csv(tmp_path / "test.csv", index=False)
    loaded = hits.load(tmp_path, "test")
    assert isinstance(loaded.stamps, np.memmap) and loaded.stamps.shape == (7, 21, 21, 4)
    assert np.array_equal(loaded.stamps[:3], hits.scaled(stamps)[[0, 2, 3]])
    assert np.array_equal(loaded.labels, kept["label"]) and list(loaded.table) == ["chunk", "row", "label", "snr"]


def test_a_part_of_one_class_is_an_error(tmp_path):
    stamps, labels = candidates()
    (tmp_path / "train").mkdir()
    hits.write_chunk(tmp_path / "train/chunk_0000.npz", stamps, 0 * labels)
    with (
        RejectionLog(tmp_path / "rejected.csv") as rejected,
        pytest.raises(InputError, match="train: no real source among the 6 good candidates"),
    ):
        hits.scale_part(tmp_path / "train", tmp_path / "train.npy", rejected)


def test_measured_snr_is_right_for_a_source_in_noise_of_variance_1():
    rng = np.random.default_rng(0)
    axis = np.arange(21) - 10
    profile = np.exp(-(axis[:, None] ** 2 + axis**2) / (2 * hits.SEEING**2))
    stamps = rng.normal(size=(2000, 21, 21, 4))
    assert hits.measured_snr(stamps).std() == pytest.approx(1, abs=0.05)
    stamps[..., 3] += 12 * (profile / np.sqrt((profile**2).sum()))
    stamps[0, :, :, 3] = np.nan
    snr = hits.measured_snr(stamps)
    assert np.isnan(snr[0]) and snr[1:].mean() == pytest.approx(12, abs=0.1)


def test_footprints_are_those_of_the_rows_of_each_chunk(tmp_path):
    masks = np.random.default_rng(0).random((2, 5, 21, 21)) < 0.1
    (tmp_path / "test").mkdir()
    for name, values in zip("ab", masks, strict=True):
        np.savez(tmp_path / f"test/{name}.npz", masks=values)
    rows = [("a", 3), ("b", 0), ("a", 1), ("b", 4)]
    found = hits.footprints(tmp_path, "test", pd.DataFrame(rows, columns=["chunk", "row"]))
    for footprint, (name, row) in zip(found, rows, strict=True):
        assert np.array_equal(footprint, masks["ab".index(name), row])


@pytest.mark.slow
def test_reading_does_not_import_tensorflow():
    modules = "skylight.simulations.hits, skylight.candidates.plots, skylight.candidates.explain"
    code = f"import sys, {modules}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pixels_beyond_any_measurement_are_bad_pixels(chunk):
    stamps, labels = candidates()
    stamps[2, 3, 4, 1], stamps[3, 5, 6, 2], stamps[4, :, :, 0] = -3e38, 3e38, np.finfo(np.float32).max
    hits.write_chunk(chunk, stamps, labels)
    good, rows, bad = hits.good_candidates(chunk)
    assert bad == {4: "template stamp has no good pixel"} and rows.tolist() == [0, 1, 2, 3, 5]
    assert np.isnan(good.stamps[2, 3, 4, 1]) and np.isnan(good.stamps[3, 5, 6, 2])
    scaled = hits.scaled(good.stamps)
    assert np.isfinite(scaled).all() and scaled.min() == 0 and scaled.max() == 1
    assert np.array_equal(scaled[2, :, :, 0], hits.scaled(stamps[2:3])[0, :, :, 0])
    assert scaled[2, :, :, 1].std() > 0.1


def test_a_chunk_without_a_usable_candidate_leaves_the_others(tmp_path):
    stamps, labels = candidates()
    (tmp_path / "test").mkdir()
    hits.write_chunk(tmp_path / "test/a.npz", np.full_like(stamps, np.nan), labels)
    hits.write_chunk(tmp_path / "test/b.npz", stamps[:0], labels[:0])
    hits.write_chunk(tmp_path / "test/c.pkl", stamps[:0], labels[:0])
    hits.write_chunk(tmp_path / "test/d.npz", stamps, labels)
    for name, wrong in (("a.npz", 6), ("b.npz", 0), ("c.pkl", 0)):
        good, rows, bad = hits.good_candidates(tmp_path / "test" / name)
        assert good.stamps.shape == (0, 21, 21, 4) and rows.shape == (0,) and len(bad) == wrong
        assert hits.measured_snr(good.stamps).shape == (0,)
    with RejectionLog(tmp_path / "rejected.csv") as rejected:
        kept = hits.scale_part(tmp_path / "test", tmp_path / "test.npy", rejected)
    assert kept["chunk"].tolist() == ["d"] * 6 and rejected.count == 6


@pytest.mark.parametrize("labels", [np.zeros((6, 3)), np.float64(1), np.array(["1"] * 6)])
def test_labels_that_are_not_one_number_per_row_are_errors(chunk, labels):
    rewrite(chunk, labels=labels)
    with pytest.raises(InputError, match="labels must be"):
        hits.read_chunk(chunk)
