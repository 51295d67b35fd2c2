"""``$(REVISION)`` and the like in queries and addresses, as Kubernetes has them in a container's arguments.

Only names that the operator gives are known, and their values are names and numbers that Kubernetes has validated:
none has a quote, a brace or a blank, so no query can be broken out of. One that nobody knows stays as it is written,
and ``$$(NAME)`` is ``$(NAME)``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_PLACEHOLDER: Final = re.compile(r"\$(\$|\((?P<name>[A-Z][A-Z0-9_]*)\))")


def fill_in(text: str, values: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] == "$":
            return "$"
        return values.get(found["name"], found[0])

    return _PLACEHOLDER.sub(value, text)
