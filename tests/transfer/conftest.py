import pytest


@pytest.fixture(scope="module", autouse=True)
def haste(compiled_in_haste):
    """Trainings of these tests are short: what XLA would gain by optimising takes longer."""
