"""The rules of LRP in the most literal form: number by number, from the full Jacobian of a layer.

A layer is a matrix W (J, K) and a bias b (K,). All inputs of a batch are flattened to x (J,), and all relevances of the
outputs to R (K,). Each function returns the J relevances of the inputs, followed by the relevance that the biases
absorb.
"""

import numpy as np


def matrix(function, x):
    """Return W (J, K) and b (K,) of an affine function of arrays of the shape of ``x``, by basis vectors."""
    zero = np.zeros(x.shape)
    b = np.asarray(function(zero), dtype=np.float64).ravel()
    rows = []
    for j in range(x.size):
        basis = zero.copy()
        basis.flat[j] = 1
        rows.append(np.asarray(function(basis), dtype=np.float64).ravel() - b)
    return np.array(rows), b


def sign(z):
    return 1 if z >= 0 else -1


def epsilon(W, b, x, R, eps):
    result = np.zeros(len(x) + 1)
    for k in range(len(R)):
        z = sum(x[j] * W[j, k] for j in range(len(x))) + b[k]
        for j in range(len(x)):
            result[j] += x[j] * W[j, k] / (z + eps * sign(z)) * R[k]
        result[-1] += b[k] / (z + eps * sign(z)) * R[k]
    return result


def simple(W, b, x, R):
    return epsilon(W, b, x, R, 1e-12)


def gamma(W, b, x, R, gamma):
    result = np.zeros(len(x) + 1)
    for k in range(len(R)):
        contributions = np.append(x * W[:, k], b[k])
        agreeing = contributions * (contributions * sign(contributions.sum()) > 0)
        raised = contributions + gamma * agreeing
        if raised.any():
            result += raised / raised.sum() * R[k]
    return result


def alphabeta(W, b, x, R, alpha, beta):
    result = np.zeros(len(x) + 1)
    for k in range(len(R)):
        contributions = np.append(x * W[:, k], b[k])
        up, down = contributions.clip(min=0), contributions.clip(max=0)
        if up.any():
            result += alpha * up / up.sum() * R[k]
        if down.any():
            result -= beta * down / down.sum() * R[k]
    return result


def flat(W, b, x, R):
    result = np.zeros(len(x) + 1)
    for k in range(len(R)):
        seen = W[:, k] != 0
        result[:-1] += seen / max(1, seen.sum()) * R[k]
    return result


def wsquare(W, b, x, R):
    result = np.zeros(len(x) + 1)
    for k in range(len(R)):
        squares = W[:, k] ** 2
        if squares.any():
            result[:-1] += squares / squares.sum() * R[k]
    return result


def zbox(W, b, x, R, low, high):
    result = np.zeros(len(x) + 1)
    for k in range(len(R)):
        terms = x * W[:, k] - low * W[:, k].clip(min=0) - high * W[:, k].clip(max=0)
        if terms.any():
            result[:-1] += terms / terms.sum() * R[k]
    return result


def winner(W, b, x, R):
    """Max pooling. W is the matrix of the average pooling with the same windows."""
    result = np.zeros(len(x) + 1)
    for k in range(len(R)):
        window = W[:, k] != 0
        winners = window & (x == x[window].max())
        result[:-1] += winners / winners.sum() * R[k]
    return result
