"""Tandem: a Kubernetes operator for machine-learning models and ordinary apps, side by side."""

__version__ = "0.1.0"
