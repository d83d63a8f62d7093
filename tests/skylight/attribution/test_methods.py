"""What holds for every method (shapes, kinds of output, batches, a model that does not change), and the lazy names."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from skylight import attribution
from skylight.attribution import METHODS, scoring
from skylight.errors import InputError
from tests.skylight.attribution.small_networks import SHAPE, network

FEW = {"samples": 3, "steps": 4, "masks": 6, "groups": (2, 1)}  # for methods with such an option


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
@pytest.mark.slow
def test_every_kind_of_output_is_explained_and_the_model_does_not_change(name, classifier, binary, regression, images):
    for model in (classifier, binary, regression):
        before = state(model)
        maps = explain(name, model, images)
        assert maps.dtype == np.float32
        assert maps.shape in {(5, *SHAPE), (5, *SHAPE[:2], 1)}
        assert np.isfinite(maps).all()
        assert maps.std() > 0
        assert state(model) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_maps_do_not_depend_on_batches_and_functions_are_traced_once(name, images):
    model = network({"units": 3, "activation": "softmax"})
    whole = explain(name, model, images, [0, 1, 2, 1, 0])
    for batch_size in (1, 2, 4):
        part = explain(name, model, images, [0, 1, 2, 1, 0], batch_size=batch_size)
        assert np.allclose(part, whole, rtol=1e-4, atol=1e-5 * np.abs(whole).max())
    alone = explain(name, model, images[:1].astype(np.float64), 0)
    assert np.allclose(alone, whole[:1], rtol=1e-4, atol=1e-5 * np.abs(whole).max())
    compiled = [made for made in scoring._made[model][1].values() if hasattr(made, "experimental_get_tracing_count")]
    assert [function.experimental_get_tracing_count() for function in compiled] == [1] * len(compiled)
    assert compiled


@pytest.mark.parametrize("name", ["saliency", "guided_backpropagation", "rise", "deep_shap", "lrp"])
@pytest.mark.slow
def test_the_configuration_of_keras_changes_no_map(name, images):
    head = {"units": 3, "activation": "softmax"}
    usual, model = explain(name, network(head), images, 1, score="logit"), network(head)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    keras.config.set_image_data_format("channels_first")
    try:
        maps = explain(name, model, images, 1, score="logit")
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
        keras.config.set_image_data_format("channels_last")
    assert np.array_equal(maps, usual)


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"eigencam"}))  # which is the same for all classes
def test_none_is_the_predicted_class(name, classifier, images):
    predicted = classifier.predict(images, verbose=0).argmax(axis=1)
    assert np.array_equal(explain(name, classifier, images), explain(name, classifier, images, predicted))
    other = explain(name, classifier, images, (predicted + 1) % 3)
    assert not np.allclose(explain(name, classifier, images), other)


@pytest.mark.parametrize("name", METHODS)
def test_without_inputs_there_are_no_maps(name, classifier, images):
    assert explain(name, classifier, images[:0]).shape[:3] == (0, *SHAPE[:2])


@pytest.mark.parametrize("name", [*METHODS, "lighting", "activation_maximization"])
@pytest.mark.parametrize("inside", [False, True])
def test_channels_first_is_refused(name, inside):
    image = keras.layers.Input((2, 8, 9))
    first = keras.layers.Conv2D(3, 3, data_format="channels_first", name="first")
    network = keras.Model(image, first(image), name="backbone") if inside else first
    scores = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(network(image)))
    model = keras.Model(image, scores, name="whole")
    arguments = {"lighting": (), "activation_maximization": (0,)}.get(name, (np.zeros((1, 2, 8, 9)),))
    with pytest.raises(InputError, match=r"^layer first: channels_first is not supported, .* \(model whole\)$"):
        getattr(attribution, name)(model, *arguments)


INVARIANT = sorted(set(METHODS) - {"lrp", "guided_backpropagation", "deconvnet", "guided_gradcam"})


@pytest.mark.slow
@pytest.mark.parametrize("name", INVARIANT)
def test_implementation_invariance(name, classifier, images):
    """A network with a layer split in two linear layers is the same function, so it has the same maps."""
    kernel, bias = classifier.get_layer("classes").get_weights()
    inner = np.linalg.qr(np.random.default_rng(1).normal(size=(len(kernel), len(kernel))))[0]
    split = network({"units": len(kernel), "name": "inner"}, {"units": 3, "activation": "softmax", "name": "outer"})
    for layer in ("first", "second"):
        split.get_layer(layer).set_weights(classifier.get_layer(layer).get_weights())
    split.get_layer("inner").set_weights([inner, np.zeros(len(kernel))])
    split.get_layer("outer").set_weights([inner.T @ kernel, bias])
    one, two = (explain(name, model, images, 1) for model in (classifier, split))
    assert np.allclose(one, two, rtol=1e-3, atol=1e-4 * np.abs(one).max())


def test_the_registry_has_the_methods_by_name():
    assert METHODS["saliency"] is attribution.saliency
    assert len(METHODS) == len(list(METHODS)) == 23
    assert "lime" not in METHODS and "lighting" not in METHODS  # lighting takes no inputs
    for name, method in METHODS.items():
        assert method.__name__ == name
        assert list(inspect.signature(method).parameters)[:3] == ["model", "inputs", "targets"]
    with pytest.raises(KeyError, match="lime"):
        METHODS["lime"]


def imports_for_editors():
    """Return name -> module of the imports in the ``if TYPE_CHECKING`` block of the package."""
    (block,) = [node for node in ast.parse(Path(attribution.__file__).read_text()).body if isinstance(node, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    return {alias.name: node.module for node in block.body for alias in node.names}


def test_the_lazy_names_are_the_imports_for_editors():
    lazy = {name: f"skylight.attribution.{module}" for name, module in attribution._MODULES.items()}
    assert lazy == imports_for_editors()
    assert set(METHODS) <= set(lazy)


def test_every_lazy_name_is_what_its_module_defines():
    for name, module in imports_for_editors().items():
        found = getattr(attribution, name)
        assert found is getattr(sys.modules[module], name)
        assert found.__module__ == module
    from skylight.attribution import smoothgrad
    from skylight.attribution.gradients import smoothgrad as direct

    assert smoothgrad is direct


def test_dir_lists_every_lazy_name():
    assert {"METHODS", *imports_for_editors()} <= set(dir(attribution))


def test_an_unknown_name_is_an_error():
    with pytest.raises(AttributeError, match=r"module 'skylight\.attribution' has no attribute 'lime'"):
        attribution.lime  # noqa: B018
    with pytest.raises(ImportError, match="lime"):
        from skylight.attribution import lime  # noqa: F401


@pytest.mark.slow
def test_tensorflow_is_imported_when_a_method_is_first_used():
    code = """
import sys
import skylight.attribution
assert "smoothgrad" in skylight.attribution.METHODS and "smoothgrad" in dir(skylight.attribution)
assert not {"tensorflow", "keras"} & set(sys.modules)
from skylight.attribution import smoothgrad
assert "tensorflow" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
