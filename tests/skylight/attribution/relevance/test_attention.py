"""Attention against the equations of AttnLRP, written out for each query, key and head."""

import keras
import numpy as np
import pytest
from keras import layers

from skylight.attribution.relevance import Contraction, Epsilon, SignalTakesAll, Uniform, lrp, lrp_layerwise
from skylight.attribution.relevance.layers import program
from skylight.attribution.relevance.parts import Activations
from skylight.errors import InputError
from tests.skylight.attribution.relevance.test_canonizers import randomised

TOKENS, WIDTH, HEADS, KEY = 3, 4, 2, 5


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def stable(z, epsilon=1e-6):
    return z + np.where(z >= 0, epsilon, -epsilon)


def dense(x, kernel, bias, relevance):
    """LRP-epsilon of z_k = sum_j x_j w_jk + b_k, for each token."""
    z = x @ kernel + bias
    return x * ((relevance / stable(z)) @ kernel.T)


def literal_attention(layer, x, relevance, seen, cp):
    """AttnLRP of self-attention of x (T, d), in loops; ``cp``: the weights of attention are constants."""
    q, k, v, o = (
        [np.asarray(w, np.float64) for w in part.get_weights()]
        for part in (layer.query_dense, layer.key_dense, layer.value_dense, layer.output_dense)
    )
    result = np.zeros_like(x)
    query, key, value = (np.einsum("td,dnh->tnh", x, w[0]) + w[1] for w in (q, k, v))
    scores = np.einsum("tnh,snh->nts", query, key) / np.sqrt(KEY)
    exp = np.exp(scores) * seen
    weights = exp / exp.sum(axis=-1, keepdims=True)
    mixed = np.einsum("nts,snh->tnh", weights, value)
    R_mixed = dense(mixed.reshape(len(x), -1), o[0].reshape(-1, o[0].shape[-1]), o[1], relevance).reshape(mixed.shape)
    R_weights, R_value = np.zeros_like(weights), np.zeros_like(value)
    for n in range(HEADS):
        for t in range(len(x)):
            for s in range(len(x)):
                for h in range(KEY):
                    share = weights[n, t, s] * value[s, n, h] / stable(mixed[t, n, h]) * R_mixed[t, n, h]
                    R_weights[n, t, s] += 0 if cp else share / 2
                    R_value[s, n, h] += share if cp else share / 2
    R_scores = scores * (R_weights - weights * R_weights.sum(axis=-1, keepdims=True))
    R_query, R_key = np.zeros_like(query), np.zeros_like(key)
    for n in range(HEADS):
        for t in range(len(x)):
            for s in range(len(x)):
                for h in range(KEY):
                    share = query[t, n, h] * key[s, n, h] / np.sqrt(KEY) / stable(scores[n, t, s]) * R_scores[n, t, s]
                    R_query[t, n, h] += share / 2
                    R_key[s, n, h] += share / 2
    for R, w in ((R_query, q), (R_key, k), (R_value, v)):
        result += dense(x, w[0].reshape(WIDTH, -1), w[1].ravel(), R.reshape(len(x), -1))
    return result


@pytest.mark.parametrize("mask", ["none", "causal", "constant"])
@pytest.mark.parametrize("cp", [False, True])
def test_multi_head_attention_equals_the_equations_of_attnlrp(mask, cp, rng):
    layer = layers.MultiHeadAttention(HEADS, KEY)
    image = keras.Input((TOKENS, WIDTH))
    seen = {"none": np.ones((3, 3)), "causal": np.tril(np.ones((3, 3))), "constant": [[1, 1, 0], [0, 1, 1], [1, 1, 1]]}
    seen = np.array(seen[mask], bool)
    options = {"none": {}, "causal": {"use_causal_mask": True}, "constant": {"attention_mask": seen[None]}}[mask]
    model = keras.Model(image, layer(image, image, **options))
    for variable in layer.variables:
        variable.assign(rng.normal(0, 0.6, variable.shape))
    x, relevance = rng.normal(size=(2, TOKENS, WIDTH)), rng.normal(size=(2, TOKENS, WIDTH))
    ours = attended(model, SignalTakesAll() if cp else Uniform(), x.astype(np.float32), relevance.astype(np.float32))
    theirs = np.stack([literal_attention(layer, *pair, seen, cp) for pair in zip(x, relevance, strict=True)])
    assert np.abs(ours - theirs).max() < 2e-4 * np.abs(theirs).max()


def attended(model, products, x, relevance):
    """Propagate relevance through attention: ``products`` for the matrix products, epsilon for the projections."""
    node = model.outputs[0]._keras_history.operation._inbound_nodes[0]
    count = len(node.input_tensors)
    values, ways_back = [Activations(keras.ops.convert_to_tensor(x))] * count, []
    for part, reads in program(node):
        output, back = part(*(values[read] for read in reads))
        values.append(output)
        ways_back.append((back, reads, products if isinstance(part, Contraction) else Epsilon(1e-6)))
    assert np.allclose(values[-1].values, model(x), atol=1e-5)
    shares = {len(values) - 1: keras.ops.convert_to_tensor(relevance)}
    for place, (back, reads, rule) in reversed(list(enumerate(ways_back, start=count))):
        if place not in shares:
            continue
        for read, share in zip(reads, back(rule, shares[place]), strict=True):
            if share is not None:
                shares[read] = shares[read] + share if read in shares else share
    return sum(np.asarray(shares[place]) for place in range(count) if place in shares)


@pytest.mark.slow
def test_the_other_ways_to_write_attention_agree(rng):
    """One head without projections: the layer Attention, dot_product_attention, and matmul and softmax."""
    image = keras.Input((TOKENS, WIDTH), name="image")
    by_layer = layers.Attention()([image, image])
    four = keras.ops.expand_dims(image, 2)
    by_operation = keras.ops.squeeze(keras.ops.dot_product_attention(four, four, four, scale=1.0), 2)
    scores = keras.ops.matmul(image, keras.ops.transpose(image, (0, 2, 1)))
    by_hand = keras.ops.matmul(keras.ops.softmax(scores), image)
    by_sums = keras.ops.einsum("nts,nsd->ntd", layers.Softmax()(keras.ops.einsum("ntd,nsd->nts", image, image)), image)
    x = rng.normal(size=(2, TOKENS, WIDTH)).astype(np.float32)
    kernel = rng.normal(size=(TOKENS * WIDTH, 2))
    for products in ({}, {"*": "signal"}):
        maps = []
        for attended in (by_layer, by_operation, by_hand, by_sums):
            model = keras.Model(image, layers.Dense(2, use_bias=False)(layers.Flatten()(attended)))
            model.set_weights([kernel])
            maps.append(lrp(model, x, 0, rule=products))
        for same in maps[1:]:
            assert np.allclose(same, maps[0], rtol=1e-3, atol=1e-4)
    scores = np.asarray(model(x))[:, 0]
    assert np.allclose(maps[0].sum(axis=(1, 2)), scores, rtol=1e-3, atol=1e-4)  # constant weights: all is conserved


def test_masks_from_the_graph_and_unknown_attention_are_refused(rng):
    image = keras.Input((TOKENS, WIDTH))
    layer = layers.MultiHeadAttention(1, 2, name="attention")
    masked = layer(image, image, attention_mask=keras.ops.matmul(image, keras.ops.transpose(image, (0, 2, 1))) > 0)
    assert masked.shape == image.shape
    with pytest.raises(InputError, match="layer attention: LRP supports only a constant attention_mask"):
        program(layer._inbound_nodes[0])
    added = layers.Attention(score_mode="concat", name="additive")([image, image])
    with pytest.raises(InputError, match="layer additive: score_mode concat is not supported by LRP"):
        lrp(keras.Model(image, layers.Dense(1)(layers.Flatten()(added))), rng.normal(size=(1, TOKENS, WIDTH)))


def test_gated_attention_and_returned_scores(rng):
    image = keras.Input((TOKENS, WIDTH))
    layer = layers.MultiHeadAttention(HEADS, KEY, use_gate=True, use_bias=False, name="attention")
    attended, _ = layer(image, image, return_attention_scores=True)
    model = randomised(keras.Model(image, layers.Dense(2, use_bias=False)(layers.Flatten()(attended))))
    x = rng.normal(size=(2, TOKENS, WIDTH)).astype(np.float32)
    values = lrp_layerwise(model, x, 1, rule={"attention": "signal"})
    assert np.allclose(next(iter(values.values())).sum(axis=(1, 2)), np.asarray(model(x))[:, 1], rtol=1e-3, atol=1e-4)
