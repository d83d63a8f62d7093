"""What holds for every method: shapes, kinds of output, batches, and a caller's model that stays as it was."""

import inspect

import numpy as np
import pytest

from skylight.attribution import METHODS, scoring
from tests.skylight.attribution.small_networks import SHAPE, network

FEW = {"samples": 3, "steps": 4, "masks": 6}  # where a method has such an option


def explain(name, model, inputs, targets=None, **options):
    method = METHODS[name]
    known = inspect.signature(method).parameters
    return method(model, inputs, targets, **{key: few for key, few in FEW.items() if key in known}, **options)


def state(model):
    return (
        [weight.tobytes() for weight in model.get_weights()],
        [layer.get_config() for layer in model.layers],
        [getattr(layer, "activation", None) for layer in model.layers],
        [layer.trainable for layer in model.layers],
        [variable.path for variable in model.trainable_variables],
    )


@pytest.mark.parametrize("name", METHODS)
def test_every_kind_of_output(name, classifier, binary, regression, images):
    for model in (classifier, binary, regression):
        before = state(model)
        maps = explain(name, model, images)
        assert maps.dtype == np.float32
        assert maps.shape in {(5, *SHAPE), (5, *SHAPE[:2], 1)}
        assert np.isfinite(maps).all()
        assert maps.std() > 0
        assert state(model) == before


@pytest.mark.parametrize("name", METHODS)
def test_batches_change_nothing_and_trace_nothing_anew(name, images):
    model = network({"units": 3, "activation": "softmax"})
    whole = explain(name, model, images, [0, 1, 2, 1, 0])
    for batch_size in (1, 2, 4):
        part = explain(name, model, images, [0, 1, 2, 1, 0], batch_size=batch_size)
        assert np.allclose(part, whole, rtol=1e-4, atol=1e-5 * np.abs(whole).max())
    alone = explain(name, model, images[:1].astype(np.float64), 0)
    assert np.allclose(alone, whole[:1], rtol=1e-4, atol=1e-5 * np.abs(whole).max())
    compiled = [made for made in scoring._made[model].values() if hasattr(made, "experimental_get_tracing_count")]
    assert [function.experimental_get_tracing_count() for function in compiled] == [1] * len(compiled)
    assert compiled


@pytest.mark.parametrize("name", METHODS)
def test_none_is_the_predicted_class(name, classifier, images):
    predicted = classifier.predict(images, verbose=0).argmax(axis=1)
    assert np.array_equal(explain(name, classifier, images), explain(name, classifier, images, predicted))
    other = explain(name, classifier, images, (predicted + 1) % 3)
    assert not np.allclose(explain(name, classifier, images), other)


@pytest.mark.parametrize("name", METHODS)
def test_no_inputs_no_maps(name, classifier, images):
    assert explain(name, classifier, images[:0]).shape[:3] == (0, *SHAPE[:2])


INVARIANT = sorted(set(METHODS) - {"lrp", "guided_backpropagation", "deconvnet"})


@pytest.mark.parametrize("name", INVARIANT)
def test_implementation_invariance(name, classifier, images):
    """A layer written as two linear layers is the same function, so it has the same maps."""
    kernel, bias = classifier.get_layer("classes").get_weights()
    inner = np.linalg.qr(np.random.default_rng(1).normal(size=(len(kernel), len(kernel))))[0]
    split = network({"units": len(kernel), "name": "inner"}, {"units": 3, "activation": "softmax", "name": "outer"})
    for layer in ("first", "second"):
        split.get_layer(layer).set_weights(classifier.get_layer(layer).get_weights())
    split.get_layer("inner").set_weights([inner, np.zeros(len(kernel))])
    split.get_layer("outer").set_weights([inner.T @ kernel, bias])
    one, two = (explain(name, model, images, 1) for model in (classifier, split))
    assert np.allclose(one, two, rtol=1e-3, atol=1e-4 * np.abs(one).max())


def test_the_registry_knows_its_names():
    assert "smoothgrad" in METHODS
    assert "tea_leaves" not in METHODS
    assert METHODS["saliency"].__name__ == "saliency"
    with pytest.raises(KeyError):
        METHODS["tea_leaves"]
