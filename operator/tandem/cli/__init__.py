"""``tandem`` and ``kubectl tandem``: the commands of the image, and what people say to rollouts and runs.

Nothing is imported here but what a help text needs: an answer to a person is not to wait for the engine's libraries.
"""

from tandem.cli.app import app, main

__all__ = ["app", "main"]
