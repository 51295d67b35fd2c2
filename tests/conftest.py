"""What holds of all tests."""

from __future__ import annotations

from hypothesis import settings

from tests.examples import ALL, examples

# The same examples every time: a check that finds something new by itself blames whoever comes next for it. With
# FAULTS=all they are drawn anew. A loaded machine is not a failure.
settings.register_profile("tandem", max_examples=examples(100), deadline=None, derandomize=not ALL, print_blob=True)
settings.load_profile("tandem")
