"""What holds of all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples every time: a check that finds something new by itself blames whoever comes next for it. With
# FAULTS=all they are drawn anew. A loaded machine is not a failure.
settings.register_profile("tandem", deadline=None, derandomize=os.environ.get("FAULTS") != "all", print_blob=True)
settings.load_profile("tandem")
