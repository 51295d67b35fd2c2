from __future__ import annotations

import sys
from pathlib import Path

# The operator's package is not installed where only the demonstration runs.
sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "operator"))

from demo.cli import main

if __name__ == "__main__":
    sys.exit(main())
