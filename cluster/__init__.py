"""A real local Kubernetes for development and tests: kind where Docker answers, built from parts elsewhere."""
