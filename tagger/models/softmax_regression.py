"""Fit a multinomial logistic regression: the linear heads of the fusion and of a shop's adapter."""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from tagger.arrays import Classes, Float32s, Floats, softmax

STOPPING = MappingProxyType({"maxiter": 100, "maxfun": 200})
"""Where the optimizer stops unless told otherwise; the regularised loss has hardly changed by then."""


def fit_softmax_regression(
    inputs: Float32s,
    classes: Classes,
    weights: Floats,
    offset: Float32s,
    strength: float,
    stopping: Mapping[str, float] = STOPPING,
) -> tuple[Float32s, Float32s]:
    """Return the weights (d, c) and biases (c,) of a multinomial logistic regression with an offset.

    Minimises the weighted mean of the cross-entropy, plus `strength` times the squared weights and biases, by L-BFGS (Liu and
    Nocedal 1989). Deterministic.

    Args:
        inputs: (n, d).
        classes: (n,), 0 up to c - 1.
        weights: of the samples (n,); their sum does not matter.
        offset: logits that are added (n, c).
        strength: of the regularisation.
        stopping: where the optimizer stops, as options of SciPy's L-BFGS-B.
    """
    d, outputs = inputs.shape[1], offset.shape[1]
    # Normalised, so that the same strength regularises as much whatever the number of samples.
    shares = np.asarray(weights / weights.sum(), np.float32)
    rows = np.arange(len(inputs))

    def loss_and_gradient(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parameters = flat.astype(np.float32).reshape(d + 1, outputs)
        probabilities = softmax(offset + inputs @ parameters[:-1] + parameters[-1])
        chosen = np.maximum(probabilities[rows, classes], np.finfo(np.float32).tiny)
        loss = -float(shares @ np.log(chosen)) + strength * float(flat @ flat)
        probabilities[rows, classes] -= 1
        errors = probabilities * shares[:, None]
        gradient = np.concatenate([inputs.T @ errors, errors.sum(0, keepdims=True)])
        return loss, gradient.ravel().astype(np.float64) + 2 * strength * flat

    start = np.zeros((d + 1) * outputs)
    solution = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=dict(stopping)).x
    parameters = solution.astype(np.float32).reshape(d + 1, outputs)
    return parameters[:-1], parameters[-1]
