"""The asynchronous reader and writer of MLflow: the only part of Tandem that talks to it from outside a pod."""

from tandem.tracking.client import MlflowClient
from tandem.tracking.experiments import Experiments
from tandem.tracking.reader import TrackingReader, lot, poll_interval
from tandem.tracking.writer import TrackingWriter

__all__ = ["Experiments", "MlflowClient", "TrackingReader", "TrackingWriter", "lot", "poll_interval"]
