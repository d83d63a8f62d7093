"""pix2piXAI: losses against their formula, equal bytes for equal seeds, and class maps against loops."""

import ast
import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import maximum_filter

from skylight.attribution import pix2pixai
from skylight.attribution.pix2pixai import (
    PATCHES,
    Group,
    Pix2Pix,
    class_map,
    class_maps,
    confident,
    fractions,
    held_out_scores,
    mean_map_score,
    patchgan,
    similarity,
    unet,
)
from skylight.errors import InputError
from skylight.training.fit import deterministic

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def same_bytes():
    deterministic(0)


@pytest.fixture(scope="module")
def gan() -> Pix2Pix:
    return Pix2Pix((22, 24, 1), width=8, learning_rate=1e-3)


@pytest.fixture(scope="module")
def pairs() -> tuple[np.ndarray, np.ndarray]:
    """Return images of a few bright points, and maps: the images with larger points and a negative left half."""
    random = np.random.default_rng(0)
    images = np.where(random.random((60, 22, 24, 1)) > 0.985, random.uniform(50, 255, (60, 22, 24, 1)), 0)
    maps = maximum_filter(images, (1, 3, 3, 1))
    maps[:, :, :12] *= -1
    return images.astype(np.float32), maps.astype(np.float32)


@pytest.fixture(scope="module")
def learnt(gan, pairs):
    """Return the losses of a training on 48 pairs, the maps generated for the other twelve, and the weights."""
    images, maps = pairs
    losses = gan.train(images[:48], maps[:48], epochs=100, batch_size=4, seed=3)
    return losses, gan.generate(images[48:]), [weight.numpy() for weight in gan.generator.weights]


@pytest.mark.slow
def test_it_translates_held_out_images(learnt, pairs):
    losses, generated, _ = learnt
    own = fractions(pairs[1])
    mean = np.repeat(own[:48].mean(axis=0, keepdims=True), 12, axis=0)
    assert np.abs(own[48:] - generated).mean() < 0.5 * np.abs(own[48:] - mean).mean()
    assert np.median(similarity(own[48:], generated)) > np.median(similarity(own[48:], mean)) + 0.2
    assert all(losses[name].shape == (100,) for name in ("generator", "l1", "discriminator"))
    assert losses["l1"][-1] < 0.4 * losses["l1"][0]


@pytest.mark.slow
def test_one_compiled_step_is_used_for_all_trainings_and_equal_seeds_give_equal_bytes(gan, learnt, pairs):
    losses, generated, weights = learnt
    images, maps = pairs
    gan.train(images[:7], np.abs(maps[:7]), epochs=2, batch_size=3, seed=4)
    other = gan.generate(images[48:])
    again = gan.train(images[:48], maps[:48], epochs=100, batch_size=4, seed=3)
    assert all(np.array_equal(losses[name], again[name]) for name in losses)
    assert np.array_equal(gan.generate(images[48:]), generated)
    assert all(np.array_equal(weight, before) for weight, before in zip(gan.generator.weights, weights, strict=True))
    assert not np.allclose(other, generated, atol=0.1)
    assert gan.step.experimental_get_tracing_count() == 1
    assert gan.translate.experimental_get_tracing_count() == 1


def test_another_seed_gives_another_training(gan, pairs):
    first, second = (gan.train(pairs[0][:4], pairs[1][:4], epochs=1, seed=seed)["l1"] for seed in (0, 1))
    assert first != second


def test_the_scale_of_images_and_maps_does_not_matter(gan, pairs):
    images, maps = (some[:4] for some in pairs)
    first = gan.train(images, maps, epochs=1)["l1"]
    assert np.allclose(gan.train(images * 0.01, maps * 1000, epochs=1)["l1"], first, rtol=1e-4)


def test_a_step_follows_the_losses_of_the_paper():
    """Equation 4 in plain logarithms, and the first step of Adam, with a network too small for dropout."""
    gan = Pix2Pix((12, 12, 2), 3, width=4, l1_weight=7.0, learning_rate=0.01)
    random = np.random.default_rng(0)
    images, maps = (tf.constant(random.uniform(-1, 1, (5, 12, 12, count)), tf.float32) for count in (2, 3))
    gan._reset(random)
    networks = (gan.generator, gan.discriminator)
    before = [[weight.numpy() for weight in network.trainable_variables] for network in networks]
    with tf.GradientTape(persistent=True) as tape:
        generated = gan.generator(images)
        fake, real = (tf.sigmoid(gan.discriminator([images, some])) for some in (generated, maps))
        adversarial = -tf.reduce_mean(tf.math.log(fake))
        l1 = tf.reduce_mean(tf.abs(maps - generated))
        to_generator = adversarial + 7 * l1
        to_discriminator = -tf.reduce_mean(tf.math.log(real) + tf.math.log(1 - fake)) / 2
    slopes = [
        tape.gradient(loss, network.trainable_variables)
        for loss, network in zip((to_generator, to_discriminator), networks, strict=True)
    ]
    assert np.allclose(gan.step(images, maps), [adversarial, l1, to_discriminator], rtol=1e-5)
    for network, old, slope in zip(networks, before, slopes, strict=True):
        for weight, was, value in zip(network.trainable_variables, old, slope, strict=True):
            expected = -0.01 * value / (np.abs(value) + 1e-7 / (1 - 0.999) ** 0.5)
            assert np.allclose(weight - was, expected, atol=1e-4), weight.path


@pytest.mark.parametrize("shape", [(22, 24, 1), (63, 63, 3), (5, 40, 2), (4, 4, 1)])
def test_the_networks_take_images_of_any_size(shape):
    generator, discriminator = unet(shape, 2, 4), patchgan(shape, 2, 4, 1)
    images = tf.random.stateless_normal((3, *shape), seed=(0, 0))
    maps = generator(images)
    assert maps.shape == (3, *shape[:2], 2)
    assert np.abs(maps).max() <= 1
    assert discriminator([images, maps]).shape == (3, -(-shape[0] // 2), -(-shape[1] // 2), 1)


def test_the_widths_of_the_layers_are_the_published_ones():
    """Those of appendix 6.1 for 256 x 256 x 3, without the layers inside of our bottleneck."""
    encoder, decoder = [], []
    for layer in unet((256, 256, 3), 3, 64).layers:
        if isinstance(layer, keras.layers.Conv2DTranspose):
            decoder.append(layer.filters)
        elif isinstance(layer, keras.layers.Conv2D):
            encoder.append(layer.filters)
    assert encoder == [64, 128, 256, 512, 512, 512]
    assert decoder == [512, 512, 256, 128, 64, 3]


@pytest.mark.parametrize(("patch", "strided"), PATCHES.items())
def test_a_patch_has_the_side_of_its_name(patch, strided):
    side = 1
    for layer in reversed(patchgan((64, 64, 1), 1, 2, strided).layers):
        if isinstance(layer, keras.layers.Conv2D):
            side = (side - 1) * layer.strides[0] + layer.kernel_size[0]
    assert side == patch


def test_fractions_are_of_the_largest_absolute_value():
    values = np.array([[[[1.0, -4.0]], [[2.0, 0.0]]], [[[0.0, 0.0]], [[0.0, 0.0]]]])
    assert np.array_equal(fractions(values)[0], values[0] / 4)
    assert np.array_equal(fractions(values, by_channel=True)[0], [[[0.5, -1]], [[1, 0]]])
    assert np.array_equal(fractions(values)[1], values[1])


def test_confident_means_predicted_with_enough_probability():
    probabilities = np.array([[0.8, 0.2], [0.79, 0.21], [0.1, 0.9], [0.5, 0.5]])
    assert confident(probabilities, 0, 0.8).tolist() == [True, False, False, False]
    assert confident(probabilities, 1, 0.2).tolist() == [False, False, True, False]


def test_similarity_of_flat_maps_follows_the_formula():
    """Without variance only the luminance term remains, with C1 = (0.01 range)^2."""
    flat = [np.full((1, 12, 13, 2), value) for value in (0.2, 0.5, -0.5)]
    expected = (2 * 0.2 * 0.5 + 0.01**2) / (0.2**2 + 0.5**2 + 0.01**2)
    assert np.allclose(similarity(flat[0], flat[1]), expected)
    shifted = (2 * 0.6 * 0.25 + 0.01**2) / (0.6**2 + 0.25**2 + 0.01**2)
    assert np.allclose(similarity(flat[0], flat[2]), shifted)
    noise = np.random.default_rng(0).uniform(-1, 1, (2, 12, 13, 1))
    assert np.allclose(similarity(noise, noise), 1)
    assert np.all(similarity(noise, -noise) < 0)


def masks(*groups: range) -> list[np.ndarray]:
    return [np.isin(np.arange(60), group) for group in groups]


def test_the_class_map_is_of_the_candidate_reproduced_best(gan, pairs):
    images, maps = pairs[0], pairs[1].copy()
    maps[[2, 31]] = 0
    options = {"epochs": 5, "batch_size": 4, "seed": 1, "min_objects": 10}
    learnt = class_map(gan, images, maps, *masks(range(20), range(15, 35)), **options)
    assert (learnt.trained_on, learnt.candidates, learnt.dead, learnt.reason) == (19, 19, 2, "")
    rows = [row for row in range(15, 35) if row != 31]
    assert np.allclose(learnt.scores, similarity(fractions(maps[rows]), gan.generate(images[rows])))
    assert learnt.chosen == rows[learnt.scores.argmax()]
    assert learnt.score == learnt.scores.max()
    assert np.array_equal(learnt.own, fractions(maps)[learnt.chosen])
    assert np.allclose(learnt.generated, gan.generate(images[[learnt.chosen]])[0], atol=1e-6)
    elsewhere = pairs[1].copy()
    elsewhere[[2, 31]], elsewhere[35:] = 0, 1
    again = class_map(gan, images, elsewhere, *masks(range(20), range(15, 35)), **options)
    assert np.array_equal(again.generated, learnt.generated)


def test_too_few_objects_are_reported_and_nothing_is_trained(gan, pairs):
    images, maps = pairs[0], pairs[1].copy()
    maps[:3] = 0
    few = class_map(gan, images, maps, *masks(range(12), range(12)), min_objects=10)
    assert few.reason == "9 maps to learn from (3 are 0 everywhere), 10 are needed"
    assert (few.trained_on, few.candidates, few.dead, few.chosen, few.generated) == (9, 9, 3, -1, None)
    none = class_map(gan, images, maps, *masks(range(12), range(3)), min_objects=9)
    assert none.reason == "no object is certain enough to be chosen"
    assert (none.trained_on, none.candidates, none.score) == (9, 0, pytest.approx(np.nan, nan_ok=True))


def test_a_picture_that_does_not_follow_the_map_is_rejected(gan, pairs):
    images, maps = pairs
    options = {"epochs": 5, "batch_size": 4, "seed": 1, "min_objects": 10}
    learnt = class_map(gan, images, maps, *masks(range(20), range(20)), **options)
    own, generated = learnt.own.ravel(), learnt.generated.ravel()
    a, b = own - own.mean(), generated - generated.mean()
    assert learnt.correlation == pytest.approx((a * b).sum() / ((a * a).sum() * (b * b).sum()) ** 0.5, abs=1e-5)
    assert 0 < learnt.correlation < 1
    for limit in (0.9 * learnt.correlation, 1.0):
        again = class_map(gan, images, maps, *masks(range(20), range(20)), **options, min_correlation=limit)
        assert again.correlation == learnt.correlation
        if limit < 1:
            assert (again.reason, again.chosen, again.score) == ("", learnt.chosen, learnt.score)
        else:
            words = f"correlation {learnt.correlation:.2f} of the picture with the object's map"
            assert (again.reason, again.chosen, again.own) == (f"not learnt: {words}", -1, None)
            assert (again.trained_on, again.candidates) == (20, 20)
    flat = class_map(gan, images, np.ones_like(maps), *masks(range(20), range(20)), **options, min_correlation=-1)
    assert flat.reason.startswith("not learnt: correlation nan") and np.isnan(flat.correlation)


def median_ssim(maps, others):
    return np.median([similarity(one[None], other[None])[0] for one, other in zip(maps, others, strict=True)])


def test_class_maps_are_those_of_each_group_and_kind(gan, pairs):
    images, maps = pairs
    ids = np.array([f"object {row}" for row in range(60)])
    options = {"epochs": 2, "batch_size": 4, "seed": 1, "min_objects": 10}
    rows = {"first": range(20), "few": range(20, 25), "last": range(30, 60)}
    training, candidates = np.arange(60) % 5 > 0, np.arange(60) % 2 == 0
    by_kind = {"signed": maps, "absolute": np.abs(maps)}

    def group(name):
        some = list(rows[name])
        of_these = {kind: values[some] for kind, values in by_kind.items()}
        return Group(name, ids[some], images[some], of_these, training[some], candidates[some])

    seen = []

    def more(group, kind):
        seen.append((group.name, kind))
        return {"held_out_l1": np.abs(gan.generate(images[25:30]) - fractions(by_kind[kind][25:30])).mean()}

    table, arrays = class_maps(gan, map(group, rows), more, **options)
    assert [(row["group"], row["map"]) for row in table] == [(name, kind) for name in rows for kind in by_kind]
    assert seen == [(name, kind) for name in ("first", "last") for kind in by_kind]
    assert {name: values.shape for name, values in arrays.items()} == dict.fromkeys(arrays, (3, 2, 22, 24, 1))
    for index, row in enumerate(table):
        i, j = divmod(index, 2)
        some = list(rows[row["group"]])
        learnt = class_map(gan, images[some], by_kind[row["map"]][some], training[some], candidates[some], **options)
        assert (row["trained_on"], row["candidates"], row["dead"]) == (learnt.trained_on, learnt.candidates, 0)
        assert row["note"] == learnt.reason
        if row["group"] == "few":
            assert row["note"] == "4 maps to learn from, 10 are needed" and "id" not in row and "score" not in row
            assert all(np.isnan(values[i, j]).all() for values in arrays.values())
            continue
        assert row["id"] == ids[some[learnt.chosen]]
        assert (row["score"], row["correlation"]) == (learnt.score, learnt.correlation)
        assert row["median_score"] == np.median(learnt.scores)
        assert row["held_out_l1"] == more(group(row["group"]), row["map"])["held_out_l1"]  # asked while it was trained
        assert np.array_equal(arrays["image"][i, j], images[some[learnt.chosen]])
        assert np.array_equal(arrays["own"][i, j], learnt.own)
        assert np.array_equal(arrays["generated"][i, j], learnt.generated)


def test_held_out_scores_are_medians_of_similarities(gan, learnt, pairs):
    images, maps = pairs[0][48:], pairs[1][48:].copy()
    maps[3] = 0
    gan.train(pairs[0][:8], pairs[1][:8], epochs=2, batch_size=4)
    mean_map = fractions(pairs[1][:8]).mean(axis=0)
    found = held_out_scores(gan, images, maps, mean_map)
    alive = [row for row in range(12) if row != 3]
    own = [maps[row] / np.abs(maps[row]).max() for row in alive]
    assert found["held_out"] == 11
    generated = [gan.generate(images[[row]])[0] for row in alive]
    assert found["held_out_score"] == pytest.approx(median_ssim(own, generated), abs=1e-6)
    assert found["held_out_score_of_mean_map"] == pytest.approx(median_ssim(own, [mean_map] * 11), abs=1e-6)
    assert found["held_out_score_of_mean_map"] == mean_map_score(maps[alive], mean_map)
    assert held_out_scores(gan, images, np.zeros_like(maps), mean_map) == {"held_out": 0}
    assert held_out_scores(gan, images[:0], maps[:0], mean_map) == {"held_out": 0}


def test_the_module_is_imported_without_scikit_image():
    top = [
        node for node in ast.parse(inspect.getsource(pix2pixai)).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert top and not [node for node in top if "skimage" in ast.unparse(node)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width: must be at least 1, got 0"),
        ({"channels": 0}, "channels: must be at least 1, got 0"),
        ({"patch": 20}, "patch: must be one of 16, 34, 70, got 20"),
    ],
)
def test_options_out_of_range_are_errors(options, message):
    with pytest.raises(InputError, match=message):
        Pix2Pix((22, 24, 1), **options)


def test_channels_first_is_an_error():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(InputError, match="Pix2Pix: Keras is set to channels_first"):
            Pix2Pix((22, 24, 1))
    finally:
        keras.config.set_image_data_format("channels_last")


def test_arrays_that_do_not_fit_are_errors(gan, pairs):
    images, maps = pairs
    for some, others, options, message in (
        (images[:2], maps[:3], {}, "maps: must be one per image, and at least one, got 3 for 2 images"),
        (images[:0], maps[:0], {}, "and at least one, got 0 for 0 images"),
        (images[:, :20], maps, {}, r"images: must be \(N, 22, 24, 1\), got \(60, 20, 24, 1\)"),
        (images, np.where(np.arange(60)[:, None, None, None] == 7, np.nan, maps), {}, "maps: row 7 is not finite"),
        (images, maps, {"epochs": 0}, "epochs: must be at least 1, got 0"),
        (images, maps, {"batch_size": 0}, "batch_size: must be at least 1, got 0"),
    ):
        with pytest.raises(InputError, match=message):
            gan.train(some, others, **options)
    assert gan.generate(images[:0]).shape == (0, 22, 24, 1)
