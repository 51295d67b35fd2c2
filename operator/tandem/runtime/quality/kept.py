"""What is kept of the checks in the artifacts of an MLflow run, and read from those of another."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tandem.api import names
from tandem.runtime.failure import NotRecorded
from tandem.runtime.patience import Patience, none
from tandem.runtime.quality.inspection import Inspection
from tandem.runtime.quality.statistics import Statistics
from tandem.runtime.reasons import not_recorded
from tandem.runtime.record import FOLDER, RUN_VARIABLE, speaks


class Kept:
    """The run that the environment names; nothing is kept where it names none."""

    def __init__(self, environment: Mapping[str, str], patience: Patience | None = None) -> None:
        self._patience = patience or none()
        self._run_id = environment.get(RUN_VARIABLE, "")
        self._made: Any = None

    def digest(self, name: str) -> str:
        """The digest of the data set, as `fetch` has recorded it; ''."""
        if not self._run_id:
            return ""
        run = self._asked(lambda client: client.get_run(self._run_id))
        return str(run.data.tags.get(f"{names.TAG_DATA}.{name}", ""))

    def statistics(self, run_id: str, name: str) -> Statistics | None:
        """The statistics that another run has kept of its data set of this name; None when there are none.

        Raises:
            NotRecorded: MLflow did not answer: not the same as that there are none.
        """
        path = f"{FOLDER}/{name}/statistics.json"

        def load(client: Any) -> Statistics | None:
            listed = {file.path for file in client.list_artifacts(run_id, f"{FOLDER}/{name}")}
            if path not in listed:
                return None
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
                file = Path(client.download_artifacts(run_id, path, folder))
                return msgspec.json.decode(file.read_bytes(), type=Statistics)

        found: Statistics | None = self._asked(load)
        return found

    def keep(self, name: str, found: Inspection) -> None:
        """Raises: NotRecorded."""
        if not self._run_id or not speaks():
            return

        def write(client: Any) -> None:
            told = {"findings": msgspec.to_builtins(found.findings)}
            client.log_dict(self._run_id, told, f"{FOLDER}/{name}/checks.json")
            if found.statistics:
                statistics = msgspec.to_builtins(found.statistics)
                client.log_dict(self._run_id, statistics, f"{FOLDER}/{name}/statistics.json")

        self._asked(write)

    def _asked(self, ask: Any) -> Any:
        return self._patience.outlast(lambda: self._asked_once(ask))

    def _asked_once(self, ask: Any) -> Any:
        try:
            if self._made is None:
                from mlflow.tracking.client import MlflowClient

                self._made = MlflowClient()
            return ask(self._made)
        except msgspec.DecodeError as error:
            raise NotRecorded(f"the statistics of the previous data cannot be read: {error}") from None
        except Exception as error:  # MLflow's client raises its own, and whatever requests raises
            what = "MLflow did not answer, and data that cannot be compared are not trained on"
            raise not_recorded(error, what) from None
