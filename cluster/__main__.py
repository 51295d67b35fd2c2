from __future__ import annotations

import sys

from rich.text import Text

from cluster.cli import app
from cluster.errors import ClusterError
from cluster.progress import CONSOLE


def main() -> int:
    try:
        app(prog_name="python -m cluster")
    except ClusterError as error:
        CONSOLE.print(Text.assemble(("error", "red"), f": {error}"), soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        CONSOLE.print("interrupted; the same command goes on where this one ended")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
