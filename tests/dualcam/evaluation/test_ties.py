"""When computed numbers count as equal: the bound holds and is not far too wide."""

import fractions

import numpy as np
import pytest

from dualcam.evaluation import ties

pytestmark = pytest.mark.numeric


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('terms', [20, 300, 3000])
def test_sums_in_any_order_lie_within_the_tolerance(rng, dtype, terms):
    x, y = rng.standard_normal((2, terms)).astype(dtype)
    exact = sum(
        fractions.Fraction(float(a)) * fractions.Fraction(float(b))
        for a, b in zip(x, y, strict=True)
    )
    scale = float(np.linalg.norm(x.astype(np.float64)) * np.linalg.norm(y.astype(np.float64)))
    found = [float(x @ y)]
    for order in (np.arange(terms)[::-1], rng.permutation(terms), np.argsort(x * y)):
        total = dtype(0)
        for product in (x * y)[order]:
            total += product
        found.append(float(total))
    assert len(set(found)) > 1
    tolerance = ties.tolerance(terms, scale, dtype)
    assert max(abs(fractions.Fraction(one) - exact) for one in found) <= tolerance / 2
    assert max(found) - min(found) <= tolerance
    assert tolerance <= 2.1 * terms * np.finfo(dtype).eps / 2 * scale


def test_rounding_alone_is_one_term():
    third = 1.0 / 3.0
    assert 0.0 < abs(float(np.float32(third)) - third) <= ties.tolerance(1, third, np.float32) / 2
    np.testing.assert_array_equal(
        ties.tolerance(1, np.array([1.0, 4.0]), np.float32),
        ties.tolerance(1, 1.0, np.float32) * np.array([1.0, 4.0]),
    )
    with pytest.raises(ValueError, match='terms in float32: expected fewer than 1'):
        ties.tolerance(1 << 24, dtype=np.float32)


def test_what_lies_within_the_tolerance_becomes_equal(rng):
    values = np.array([3.0, 1.0, 1.05, 2.0, 1.1, 2.95])
    np.testing.assert_array_equal(ties.merged(values, 0.06), [2.95, 1, 1, 2, 1, 2.95])
    np.testing.assert_array_equal(ties.merged(values), values)
    np.testing.assert_array_equal(
        ties.merged(-values, relative=0.02), [-3.0, -1.0, -1.05, -2.0, -1.1, -3.0]
    )
    rows = rng.standard_normal((4, 50))
    np.testing.assert_array_equal(ties.merged(rows, 0.01), [ties.merged(row, 0.01) for row in rows])
    widths = np.array([[0.0], [0.001], [0.01], [0.1]])
    np.testing.assert_array_equal(
        ties.merged(rows, widths),
        [ties.merged(row, width) for row, (width,) in zip(rows, widths, strict=True)],
    )
    for empty in (np.zeros(0), np.zeros((3, 0)), np.zeros((0, 3)), np.zeros((2, 1))):
        np.testing.assert_array_equal(ties.merged(empty, 0.1), empty)


def test_equal_values_keep_their_order_whatever_their_last_bits(rng):
    values = np.repeat([0.7, 0.2, 0.9], 20) * (1.0 + 1e-16 * rng.integers(-3, 4, 60))
    assert len(set(values)) > 3
    order = np.argsort(ties.merged(values, relative=ties.tolerance(4)), kind='stable')
    np.testing.assert_array_equal(order, [*range(20, 40), *range(20), *range(40, 60)])
