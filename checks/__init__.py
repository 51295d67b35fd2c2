"""Every check of this repository, in the order from the quickest to the slowest: ``python -m checks [STEP …]``."""
