"""$(NAME) in a query, as Kubernetes has it in arguments: nothing is carried out, and nobody breaks out."""

from __future__ import annotations

import pytest

from tandem.runtime.analysis.placeholders import fill_in

KNOWN = {"NAME": "shop", "REVISION": "5"}


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ('up{pod=~"$(NAME)-$(REVISION)-[a-z0-9]+-[a-z0-9]+"}', 'up{pod=~"shop-5-[a-z0-9]+-[a-z0-9]+"}'),
        ("$(NAME)$(NAME)", "shopshop"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),  # Kubernetes leaves those alone, too
        ("$$(NAME)", "$(NAME)"),
        ("$$$(NAME)", "$shop"),
        ("$NAME ${NAME} {{NAME}} $(name)", "$NAME ${NAME} {{NAME}} $(name)"),
        ("$(NAME", "$(NAME"),
        ("rate(x[5m]) == 5$", "rate(x[5m]) == 5$"),
        ("", ""),
    ],
)
def test_known_names_are_filled_in_and_all_else_stays(written: str, asked: str) -> None:
    assert fill_in(written, KNOWN) == asked


def test_a_value_is_never_looked_at_again() -> None:
    assert fill_in("$(NAME)", {"NAME": "$(REVISION)", "REVISION": "5"}) == "$(REVISION)"
