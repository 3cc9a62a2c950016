import numpy as np
import pytest

from graphdown.runtime.batches import regrouped


@pytest.mark.parametrize("size", [1, 4, 7, 30])
@pytest.mark.parametrize("lengths", [(5, 1, 12, 3), (21,), (1,) * 21, (7, 14)])
def test_rows_keep_their_order_in_groups_of_the_size(lengths, size):
    rows = np.arange(2 * sum(lengths)).reshape(-1, 2)
    parts = np.split(rows, np.cumsum(lengths)[:-1])
    groups = list(regrouped(parts, size))
    np.testing.assert_array_equal(np.concatenate(groups), rows)
    assert {len(group) for group in groups[:-1]} <= {size}
    assert 0 < len(groups[-1]) <= size


def test_nothing_makes_no_group():
    assert list(regrouped([], 3)) == []
