"""A table of named methods: one file, one registration, and names that are spelled out."""

import difflib
from collections.abc import Callable, Iterator


class Registry:
    """Names to factories of one kind of thing.

    Examples
    --------
    >>> colours = Registry("colour")
    >>> @colours.register("red")
    ... class Red: ...
    >>> colours.names()
    ('red',)
    >>> colours["rad"]
    Traceback (most recent call last):
        ...
    KeyError: "no colour is called 'rad'; did you mean: red?"
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, type] = {}

    def register(self, name: str) -> Callable[[type], type]:
        """Class decorator; a name that is taken raises ValueError instead of being replaced."""
        if name in self._entries:
            raise ValueError(f"the {self.kind} name {name!r} is taken by {self._entries[name].__name__}")

        def add(cls: type) -> type:
            self._entries[name] = cls
            return cls

        return add

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._entries))

    def __getitem__(self, name: str) -> type:
        try:
            return self._entries[name]
        except KeyError:
            near = difflib.get_close_matches(name, self._entries, n=3, cutoff=0.4) or self.names()
            raise KeyError(f"no {self.kind} is called {name!r}; did you mean: {', '.join(near)}?") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())
