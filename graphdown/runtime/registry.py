"""Registry: what users extend, looked up by name."""

import difflib
from collections.abc import Callable, ItemsView, Iterator, ValuesView
from typing import Any, Generic, TypeVar

from graphdown.errors import GraphdownError

Item = TypeVar("Item")
Registered = TypeVar("Registered")


class Registry(Generic[Item]):
    """Items of one kind by name, in the order of their registration.

    A module registers its items when it is imported; an extension that an experiment lists does so
    before the experiment is checked.

    Args:
        kind: noun for messages, as in "loss".
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, Item] = {}

    def add(self, name: str, item: Item) -> None:
        """Register an item.

        Raises:
            GraphdownError: the name is taken.
        """
        if name in self._items:
            raise GraphdownError(
                f"The {self.kind} {name!r} is registered already; choose another name."
            )
        self._items[name] = item

    def register(
        self, name: str, wrap: Callable[[Any], Item]
    ) -> Callable[[Registered], Registered]:
        """Decorator that registers an item made of a function or class, which it leaves as it is.

        Args:
            name: of the item.
            wrap: makes the item.

        Raises:
            GraphdownError: the name is taken.
        """

        def decorate(target: Registered) -> Registered:
            self.add(name, wrap(target))
            return target

        return decorate

    def __getitem__(self, name: str) -> Item:
        """Item of that name.

        Raises:
            GraphdownError: there is none; the message has the nearest name.
        """
        if name not in self._items:
            raise GraphdownError(f"{name!r} is no {self.kind}; {self._cure(name)}")
        return self._items[name]

    def _cure(self, name: str) -> str:
        close = difflib.get_close_matches(name, self._items, n=1)
        return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(self)}."

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def items(self) -> ItemsView[str, Item]:
        """Names with items."""
        return self._items.items()

    def values(self) -> ValuesView[Item]:
        """Items."""
        return self._items.values()
