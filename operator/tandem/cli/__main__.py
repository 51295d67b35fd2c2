"""``python -m tandem.cli``."""

from tandem.cli.app import main

main()
