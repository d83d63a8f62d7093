"""Curves and correlations against loops that change one image at a time, and against known results."""

import tracemalloc

import keras
import numpy as np
import pytest
from keras import layers

from skylight.errors import InputError
from skylight.evaluation.faithfulness import (
    blanking_drops,
    deletion,
    faithfulness_correlation,
    infidelity,
    insertion,
    mean_drops,
    pearson,
    picture_drops,
    random_sets,
    random_squares,
    road,
)
from skylight.evaluation.imputation import linear_imputation

SHAPE = (5, 6, 2)
PIXELS = 30


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(3)
    image = layers.Input(SHAPE)
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))


@pytest.fixture(scope="module")
def linear():
    """Return a linear regression without bias: removing a pixel reduces its output by weights times inputs."""
    image = layers.Input(SHAPE)
    return keras.Model(image, layers.Dense(1, use_bias=False)(layers.Flatten()(image)))


@pytest.fixture
def random():
    return np.random.default_rng(0)


def curve(model, start, end, target, relevance, counts):
    """Compute a curve by definition: sort the pixels, replace them one by one, run the network."""
    order = sorted(np.ndindex(relevance.shape), key=lambda pixel: -relevance[pixel])
    image, images = start.copy(), []
    for count in range(len(order) + 1):
        if count in counts:
            images.append(image.copy())
        if count < len(order):
            image[order[count]] = end[order[count]]
    return model(np.stack(images)).numpy()[:, target]


@pytest.mark.parametrize(("steps", "counts"), [(PIXELS, range(31)), (6, range(0, 31, 5)), (1000, range(31))])
@pytest.mark.parametrize("kind", ["constant", "each"])
def test_insertion_and_deletion_against_the_definition(network, random, steps, counts, kind):
    inputs = random.normal(size=(4, *SHAPE)).astype(np.float32)
    maps, targets = random.normal(size=(4, 5, 6)), np.array([0, 2, 1, 1])
    baseline = 0.3 if kind == "constant" else random.normal(size=inputs.shape).astype(np.float32)
    empty = np.broadcast_to(np.float32(baseline), inputs.shape)
    options = {"baseline": baseline, "steps": steps}
    areas = {}
    for batch_size in (7, 256):
        areas["in"] = insertion(network, inputs, targets, maps, batch_size=batch_size, **options)
        areas["out"] = deletion(network, inputs, targets, maps, batch_size=batch_size, **options)
        for i in range(4):
            up = curve(network, empty[i], inputs[i], targets[i], maps[i], counts)
            down = curve(network, inputs[i], empty[i], targets[i], maps[i], counts)
            width = np.diff(counts) / PIXELS
            assert areas["in"][i] == pytest.approx(np.sum(width * np.convolve(up, [0.5, 0.5], "valid")), abs=1e-6)
            assert areas["out"][i] == pytest.approx(np.sum(width * np.convolve(down, [0.5, 0.5], "valid")), abs=1e-6)


def test_drops_equal_blanking_the_most_relevant_pixels_one_by_one(network, random):
    inputs, maps = random.normal(size=(3, *SHAPE)).astype(np.float32), random.normal(size=(3, 5, 6))
    counts, targets = [7, 0, 1, PIXELS], [2, 0, 1]
    drops = blanking_drops(network, inputs, targets, maps, counts, baseline=0.1, batch_size=4)
    for i in range(3):
        order = np.argsort(-maps[i].ravel())
        for count, drop in zip(counts, drops[i], strict=True):
            blanked = inputs[i].copy().reshape(PIXELS, -1)
            blanked[order[:count]] = 0.1
            outputs = network(np.stack([inputs[i], blanked.reshape(SHAPE)])).numpy()[:, targets[i]]
            assert drop == pytest.approx(outputs[0] - outputs[1], abs=1e-6)
    assert not drops[:, 1].any()
    with pytest.raises(InputError, match="counts: must be 0 to 30, got 31"):
        blanking_drops(network, inputs, 0, maps, [1, 31])


def test_picture_drops_are_means_over_the_objects_of_a_class(network, random):
    inputs, labels = random.normal(size=(6, *SHAPE)).astype(np.float32), np.array([0, 2, 0, 2, 0, 2])
    pictures = {name: random.normal(size=(3, 5, 6)) for name in ("lighting", "mean_image")}
    pictures["lighting"][2] = np.nan  # no picture of this class
    counts = [1, 4]
    table = picture_drops(network, inputs, labels, pictures, ["EW", "EA", "LPV"], counts, draws=3, seed=5)
    found = [(row["class"], row["approach"], row["cells"]) for row in table]
    approaches = {"EW": ["lighting", "mean_image", "random"], "LPV": ["mean_image", "random"]}
    assert found == [
        (name, approach, cells) for name, some in approaches.items() for approach in some for cells in counts
    ]
    draws = np.random.default_rng(5)
    orders = {name: [draws.random((3, 5, 6)) for _ in range(3)] for name in approaches}
    for row in table:
        target = {"EW": 0, "LPV": 2}[row["class"]]
        drops = []
        for i, image in enumerate(inputs[labels == target]):
            maps = (
                [pictures[row["approach"]][target]]
                if row["approach"] in pictures
                else [o[i] for o in orders[row["class"]]]
            )
            ends = [curve(network, image, 0 * image, target, one, [0, row["cells"]]) for one in maps]
            drops.append(np.mean([start - end for start, end in ends]))
        assert row["objects"] == 3
        assert row["drop"] == pytest.approx(sum(drops) / 3, abs=1e-6)
        variance = sum((drop - sum(drops) / 3) ** 2 for drop in drops) / 2
        assert row["error"] == pytest.approx((variance / 3) ** 0.5, abs=1e-6)
    (alone,) = picture_drops(network, inputs[:1], labels[:1], {}, ["EW", "EA", "LPV"], [2], draws=1)
    assert alone["objects"] == 1 and np.isnan(alone["error"])


def test_mean_drops_compare_approaches_in_the_classes_that_they_have_pictures_of():
    drops = {
        ("EW", "gradcam"): 0.5,
        ("EW", "random"): 0.1,
        ("EW", "mean_image"): 0.3,
        ("EA", "random"): 0.2,
        ("EA", "mean_image"): 0.9,
        ("EA", "saliency"): 0.7,
        ("EW", "saliency"): 0.1,
    }
    table = [
        {"class": name, "approach": approach, "cells": cells, "drop": drop * cells}
        for (name, approach), drop in drops.items()
        for cells in (1, 2)
    ]
    found = mean_drops(table, controls=["random", "mean_image"])
    assert list(found) == ["gradcam", "saliency"]
    assert found["gradcam"] == {
        "classes": 1,
        "1 cells": {"drop": 0.5, "random": 0.1, "mean_image": 0.3},
        "2 cells": {"drop": 1.0, "random": 0.2, "mean_image": 0.6},
    }
    assert found["saliency"]["classes"] == 2
    assert found["saliency"]["1 cells"] == pytest.approx({"drop": 0.4, "random": 0.15, "mean_image": 0.6})


def test_insertion_in_reverse_order_equals_deletion(network, random):
    inputs, maps = random.normal(size=(3, *SHAPE)).astype(np.float32), random.normal(size=(3, 5, 6))
    forwards = deletion(network, inputs, 1, maps, steps=PIXELS)
    assert np.allclose(forwards, insertion(network, inputs, 1, -maps, steps=PIXELS), atol=1e-6)


def test_no_map_of_a_linear_model_beats_weights_times_inputs(linear, random):
    inputs = random.normal(size=(3, *SHAPE)).astype(np.float32)
    best = (inputs * linear.get_weights()[0].reshape(SHAPE)).sum(axis=-1)
    assert np.allclose(faithfulness_correlation(linear, inputs, 0, best), 1, atol=1e-5)
    assert np.allclose(faithfulness_correlation(linear, inputs, 0, -3 * best), -1, atol=1e-5)
    highest, lowest = (area(linear, inputs, 0, best, steps=PIXELS) for area in (insertion, deletion))
    for _ in range(20):
        other = random.normal(size=best.shape)
        assert np.all(insertion(linear, inputs, 0, other, steps=PIXELS) < highest)
        assert np.all(deletion(linear, inputs, 0, other, steps=PIXELS) > lowest)


def test_equal_pixels_go_in_random_order_by_seed(linear):
    weights = np.zeros(SHAPE, np.float32)
    weights[:2] = 1  # a tie broken by rows would insert these first
    linear.set_weights([weights.reshape(-1, 1)])
    inputs, flat = np.ones((200, *SHAPE), np.float32), np.zeros((200, 5, 6))
    areas = insertion(linear, inputs, 0, flat, steps=PIXELS, seed=1)
    assert areas.mean() == pytest.approx(24 / 2, rel=0.02)  # half of the full output, as for a random order
    assert np.array_equal(areas, insertion(linear, inputs, 0, flat, steps=PIXELS, seed=1))
    assert not np.array_equal(areas, insertion(linear, inputs, 0, flat, steps=PIXELS, seed=2))


def test_correlation_against_the_definition(network, random):
    inputs = random.normal(size=(3, *SHAPE)).astype(np.float32)
    maps, targets = random.normal(size=(2, 3, 5, 6)), [2, 0, 1]
    found = faithfulness_correlation(network, inputs, targets, maps, share=0.2, runs=25, seed=4, baseline=0.1)
    for i in range(3):
        sums, drops = [], []
        for chosen in random_sets(PIXELS, 6, 25, [4, i]).reshape(-1, 5, 6):
            without = np.where(chosen[..., None], np.float32(0.1), inputs[i])
            drops.append((network(inputs[i][None]) - network(without[None])).numpy()[0, targets[i]])
            sums.append([one[i][chosen].sum() for one in maps])
        for method in range(2):
            expected = np.corrcoef(np.array(sums)[:, method], drops)[0, 1]
            assert found[method, i] == pytest.approx(expected, abs=1e-4)
    small_batches = faithfulness_correlation(
        network, inputs, targets, maps[0], share=0.2, runs=25, seed=4, baseline=0.1, batch_size=4
    )
    assert np.allclose(small_batches, found[0], atol=1e-4)
    other_seed = faithfulness_correlation(network, inputs, targets, maps, share=0.2, runs=25, seed=5, baseline=0.1)
    assert not np.allclose(other_seed, found, atol=1e-3)


def test_infidelity_against_the_definition(network, random):
    inputs = random.normal(size=(3, *SHAPE)).astype(np.float32)
    maps, targets = random.normal(size=(2, 3, 5, 6)), [2, 0, 1]
    found = infidelity(network, inputs, targets, maps, side=0.5, runs=30, seed=4, baseline=0.1)
    for i in range(3):
        squares = random_squares((5, 6), 0.5, 30, [4, i]).reshape(-1, 5, 6)
        without = np.where(squares[..., None], np.float32(0.1), inputs[i])
        outputs = network(np.concatenate([inputs[i : i + 1], without])).numpy()[:, targets[i]]
        for method in range(2):
            predicted = np.array([maps[method, i][square].sum() for square in squares])
            errors = (np.linspace(0, 0.1, 20001)[:, None] * predicted - (outputs[0] - outputs[1:])) ** 2
            assert found[method, i] == pytest.approx(errors.mean(axis=1).min(), rel=1e-3)
    small_batches = infidelity(network, inputs, targets, maps, side=0.5, runs=30, seed=4, baseline=0.1, batch_size=4)
    assert np.allclose(small_batches, found, rtol=1e-3)
    other_seed = infidelity(network, inputs, targets, maps, side=0.5, runs=30, seed=5, baseline=0.1)
    assert not np.allclose(other_seed, found, rtol=1e-2)


def test_infidelity_of_a_linear_model_is_zero_for_weights_times_inputs_at_any_scale(linear, random):
    inputs = random.normal(size=(3, *SHAPE)).astype(np.float32)
    best = (inputs * linear.get_weights()[0].reshape(SHAPE)).sum(axis=-1)
    right, scaled, wrong_sign, dead = infidelity(linear, inputs, 0, np.stack([best, 9 * best, -best, 0 * best]))
    assert np.allclose([right, scaled], 0, atol=1e-9)
    assert np.array_equal(wrong_sign, dead)
    assert (dead > 0.01).all()


def test_squares_lie_inside_and_are_everywhere():
    squares = random_squares((5, 8), 0.4, 3000, 0).reshape(-1, 5, 8)
    rows, columns = squares.any(axis=2), squares.any(axis=1)
    assert np.array_equal(squares, rows[:, :, None] & columns[:, None])
    assert (rows.sum(axis=1) == 2).all()
    assert (columns.sum(axis=1) == 3).all()
    for sides in (rows, columns):
        assert (np.diff(sides.astype(int), axis=1) == -1).sum(axis=1).max() <= 1  # connected
        corner = sides.argmax(axis=1)
        share = np.bincount(corner) / len(corner)
        assert np.allclose(share, 1 / len(share), atol=0.03)
    assert random_squares((7,), 0.01, 4, 0).sum(axis=1).tolist() == [1] * 4


@pytest.mark.parametrize("kind", ["image", "runs of batches"])
def test_road_against_the_definition(network, random, kind):
    inputs = random.normal(size=(3, *SHAPE)).astype(np.float32)
    maps, targets = random.normal(size=(3, 5, 6)), [2, 0, 1]
    shares = [0.1, 0.5, 0.99]
    options = {"shares": shares, "noise": 0.05, "seed": 7, "batch_size": 256 if kind == "image" else 2}
    found = road(network, inputs, targets, maps, **options)
    for i in range(3):
        order = np.argsort(-maps[i].ravel())
        noise = 0.05 * (inputs[i].max() - inputs[i].min()) * np.random.default_rng([7, i]).normal(size=SHAPE)
        outputs = []
        for count in (3, 15, 29):  # of 30; one pixel is always left
            removed = np.zeros(30, bool)
            removed[order[:count]] = True
            removed = removed.reshape(5, 6)
            image = linear_imputation(inputs[i][None], removed[None])[0] + noise * removed[..., None]
            outputs.append(network(image[None].astype(np.float32)).numpy()[0, targets[i]])
        assert found[i] == pytest.approx(np.mean(outputs), abs=1e-6)


def test_road_prefers_the_pixels_that_the_network_uses(random):
    image = layers.Input(SHAPE)
    model = keras.Model(image, layers.Dense(2, activation="softmax", name="preds")(layers.Flatten()(image)))
    weights = np.zeros((*SHAPE, 2), np.float32)
    weights[1:3, 2:4, :, 1] = 4
    model.set_weights([weights.reshape(-1, 2), np.array([0, -8], np.float32)])
    inputs = np.zeros((4, *SHAPE), np.float32)
    inputs[:, 1:3, 2:4] = 1 + 0.1 * random.random((4, 2, 2, 2))
    right = (inputs * weights[..., 1]).sum(axis=-1)
    assert (road(model, inputs, 1, right) < road(model, inputs, 1, -right) - 0.2).all()


def test_sequences_are_images_of_one_row(random):
    keras.utils.set_random_seed(1)
    sequence = layers.Input((12, 2))
    x = layers.Flatten()(layers.Conv1D(4, 3, activation="relu")(sequence))
    model = keras.Model(sequence, layers.Dense(3, activation="softmax")(x))
    image = layers.Input((1, 12, 2))
    wrapped = keras.Model(image, model(layers.Reshape((12, 2))(image)))
    inputs, maps = random.normal(size=(3, 12, 2)).astype(np.float32), random.normal(size=(3, 12))
    for measure in (insertion, deletion, road, faithfulness_correlation, infidelity):
        found = measure(model, inputs, [0, 1, 2], maps)
        assert found.shape == (3,)
        assert np.allclose(found, measure(wrapped, inputs[:, None], [0, 1, 2], maps[:, None]), atol=1e-5)
    drops = blanking_drops(model, inputs, 1, maps, [2, 5])
    assert np.allclose(drops, blanking_drops(wrapped, inputs[:, None], 1, maps[:, None], [2, 5]), atol=1e-6)


def test_memory_does_not_grow_with_the_number_of_sets(network, random):
    inputs, maps = random.normal(size=(1, *SHAPE)), random.normal(size=(1, 5, 6))
    for measure in (faithfulness_correlation, infidelity):
        peaks = []
        for runs in (200, 200, 1200):
            tracemalloc.start()
            measure(network, inputs, 1, maps, runs=runs, batch_size=20)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        # The sums and outputs take some 30 bytes per set. All sets at once would take 500.
        assert peaks[2] - peaks[1] < 1000 * 100


def test_random_sets_have_their_size_and_favour_no_pixel():
    sets = random_sets(20, 5, 4000, 0)
    assert np.all(sets.sum(axis=1) == 5)
    assert np.allclose(sets.mean(axis=0), 0.25, atol=0.03)


def test_pearson_correlation_with_a_constant_is_nan(random):
    a, b = random.normal(size=(2, 4, 9))
    assert np.allclose(pearson(a, b), [np.corrcoef(*pair)[0, 1] for pair in zip(a, b, strict=True)])
    assert np.isnan(pearson(np.ones((1, 9)), b[:1])).all()


def test_wrong_arguments_are_errors(network, random):
    inputs, maps = np.zeros((2, *SHAPE)), np.zeros((2, 5, 6))
    for wrong in (maps[:1], maps[:, :4], maps[..., None], maps[0]):
        with pytest.raises(InputError, match=r"maps: must be one per input, \(2, 5, 6\), got"):
            insertion(network, inputs, 0, wrong)
        with pytest.raises(InputError, match="maps: must be one per input"):
            faithfulness_correlation(network, inputs, 0, wrong)
    with pytest.raises(InputError, match="maps: must be one per input"):
        deletion(network, inputs, 0, maps[None])
    with pytest.raises(InputError, match="steps: must be at least 1, got 0"):
        deletion(network, inputs, 0, maps, steps=0)
    with pytest.raises(InputError, match="baseline: must be a number"):
        insertion(network, inputs, 0, maps, baseline=np.zeros((3, *SHAPE)))
    with pytest.raises(InputError, match="share: must be above 0 and below 1, got 1"):
        faithfulness_correlation(network, inputs, 0, maps, share=1)
    with pytest.raises(InputError, match="runs: must be at least 2, got 1"):
        faithfulness_correlation(network, inputs, 0, maps, runs=1)
    with pytest.raises(InputError, match="targets"):
        insertion(network, inputs, 3, maps)
    with pytest.raises(InputError, match="side: must be above 0 and at most 1, got 0"):
        infidelity(network, inputs, 0, maps, side=0)
    with pytest.raises(InputError, match="runs: must be at least 1, got 0"):
        infidelity(network, inputs, 0, maps, runs=0)
    with pytest.raises(InputError, match="shares: must be above 0 and below 1, got 1"):
        road(network, inputs, 0, maps, shares=[0.5, 1])
    with pytest.raises(InputError, match="shares: must be above 0 and below 1, got none"):
        road(network, inputs, 0, maps, shares=[])
    with pytest.raises(InputError, match="noise: must be at least 0, got -1"):
        road(network, inputs, 0, maps, noise=-1)
