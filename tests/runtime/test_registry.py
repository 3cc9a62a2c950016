import pytest

from graphdown.errors import GraphdownError
from graphdown.runtime.registry import Registry


@pytest.fixture
def registry():
    made = Registry("fruit")
    for name in ("apple", "cherry", "banana"):
        made.add(name, name.upper())
    return made


def test_items_are_found_by_name_in_the_order_of_registration(registry):
    assert list(registry) == ["apple", "cherry", "banana"] and len(registry) == 3
    assert registry["cherry"] == "CHERRY" and "cherry" in registry and "CHERRY" not in registry
    assert dict(registry.items()) == dict(zip(registry, registry.values(), strict=True))


def test_a_decorator_leaves_what_it_registers_as_it_is(registry):
    @registry.register("date", wrap=lambda function: function("sweet"))
    def date(taste):
        return f"a {taste} date"

    assert registry["date"] == "a sweet date" and date("dry") == "a dry date"


def test_an_unknown_name_is_answered_by_the_nearest_or_all(registry):
    with pytest.raises(GraphdownError, match="^'aple' is no fruit; did you mean 'apple'\\?$"):
        registry["aple"]
    with pytest.raises(GraphdownError, match="no fruit; there are apple, cherry, banana\\.$"):
        registry["kiwi"]


def test_a_taken_name_is_refused(registry):
    with pytest.raises(GraphdownError, match="fruit 'apple' is registered already; choose"):
        registry.add("apple", "GRANNY SMITH")
    assert registry["apple"] == "APPLE"
