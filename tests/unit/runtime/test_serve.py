"""The model server's command line: what the URI already says need not be said twice."""

from __future__ import annotations

import pytest

from tandem.runtime.provenance import Served
from tandem.runtime.serve import flags


@pytest.mark.parametrize(
    ("arguments", "served"),
    [
        (["--model", "models:/iris/3"], Served("iris", "3")),
        (["--model", "models:/iris two/12"], Served("iris two", "12")),
        (["--model", "models:/iris@champion"], Served()),
        (["--model", "runs:/abc/model"], Served()),
        (["--model", "models:/m-0a1b"], Served()),
        (["--model", "models:/iris/3", "--name", "rose", "--version", "4", "--run-id", "r"], Served("rose", "4", "r")),
    ],
)
def test_flags_win_over_what_the_uri_says(arguments: list[str], served: Served) -> None:
    assert flags(arguments).served == served


def test_defaults_are_those_of_a_pod() -> None:
    given = flags(["--model", "models:/iris/3"])
    assert (given.host, given.port) == ("0.0.0.0", 8080)


def test_a_model_is_required() -> None:
    with pytest.raises(SystemExit) as refused:
        flags([])
    assert refused.value.code == 2
