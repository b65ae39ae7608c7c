"""When two computed numbers count as equal.

Mathematically equal numbers differ in their last bits once they are computed: a matrix product
rounds differently from column to column and from processor to processor. A ranking by such bits is
arbitrary. So rankings treat numbers as equal that are closer than their rounding errors, whose
bound follows from the arithmetic, never from the data.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

# Relevant roundings of a network's prediction: of its last logit, and of the exponential, the
# sum and the quotient of a sigmoid or softmax.
_ROUNDINGS = 4


def tolerance(
    terms: Any, scale: Any = 1.0, dtype: type[np.floating] | np.dtype = np.float64
) -> Any:
    """Largest difference of two computed numbers that are mathematically equal.

    A sum of n products, in any order, with fused operations or without, is wrong by at most
    gamma_n |x| |y|, gamma_n = n u / (1 - n u), where u is the unit roundoff, half the distance
    from 1 to the next number: 2^-53 in float64, 2^-24 in float32 (Higham, Accuracy and Stability
    of Numerical Algorithms, section 3.1; the bound on the sum of magnitudes, and Cauchy-Schwarz).
    Two numbers may err in opposite directions, which doubles it.

    Args:
        terms: n, the length of the vectors; each additional rounding of the result counts as one
            more, so n = 1 is for numbers that were only rounded to `dtype`.
        scale: |x| |y|, the product of the norms, or another bound on the sum of magnitudes.
        dtype: in which the numbers were computed, or to which they were rounded.

    Returns:
        The tolerance, shaped as `scale`.

    Raises:
        ValueError: there are too many terms for any bound.
    """
    error = terms * np.finfo(dtype).eps / 2.0
    if error >= 1.0:
        raise ValueError(
            f'{terms} terms in {np.dtype(dtype).name}: expected fewer than '
            f'{2.0 / np.finfo(dtype).eps:.3g}'
        )
    return 2.0 * error / (1.0 - error) * scale


def merged(
    values: npt.ArrayLike, absolute: npt.ArrayLike = 0.0, relative: npt.ArrayLike = 0.0
) -> np.ndarray:
    """`values`, with those that count as equal made identical, by rows.

    In sorted order, two neighbours count as equal if they differ by at most the tolerance, and so
    do all values linked by such neighbours. Each group is replaced by its smallest value.

    Args:
        values: [..., n].
        absolute: tolerance, a number or [..., 1].
        relative: additional tolerance, as a share of the larger magnitude of two neighbours.

    Returns:
        [..., n], for `np.argsort(..., kind='stable')`, which keeps the order of equal values.
    """
    values = np.asarray(values)
    order = np.argsort(values, axis=-1, kind='stable')
    ascending = np.take_along_axis(values, order, axis=-1)
    low, high = ascending[..., :-1], ascending[..., 1:]
    apart = high - low > absolute + relative * np.maximum(np.abs(low), np.abs(high))
    # The position of each group's first member, at the positions of all its members.
    first = np.zeros(values.shape, np.int64)
    first[..., 1:] = np.maximum.accumulate(
        np.where(apart, np.arange(1, values.shape[-1]), 0), axis=-1
    )
    result = np.empty_like(values)
    np.put_along_axis(result, order, np.take_along_axis(ascending, first, axis=-1), axis=-1)
    return result


def merged_predictions(predictions: npt.ArrayLike) -> np.ndarray:
    """A network's predictions, or averages of them, with those that count as equal made identical.

    Args:
        predictions: [..., n], logits or probabilities, computed by networks in float32, even if
            they were averaged in float64.

    Returns:
        [..., n]; see `merged`.
    """
    return merged(predictions, relative=tolerance(_ROUNDINGS, dtype=np.float32))
