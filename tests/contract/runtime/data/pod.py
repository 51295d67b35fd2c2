"""What the fetching container of one run sees and leaves behind, and the data that it fetches."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tandem.runtime import fetch, instruction
from tandem.runtime.data import version_now
from tandem.runtime.failure import Failure
from tests.contract.runtime.conftest import Finished, pod_environment, run_module

IRIS = b"sepal,species\n5.1,setosa\n4.9,virginica\n"
MORE = b"sepal,species\n6.0,setosa\n"


def digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def folder_digest(files: Mapping[str, bytes]) -> str:
    lines = "".join(f"{hashlib.sha256(files[path]).hexdigest()}  {path}\n" for path in sorted(files))
    return digest(lines.encode())


@dataclass
class Pod:
    """What the fetching container of one run sees and leaves behind."""

    folder: Path
    report: fetch.Report | None = None

    def secret(self, keys: Mapping[str, str]) -> str:
        place = self.folder / "secret"
        place.mkdir(exist_ok=True)
        for key, value in keys.items():
            (place / key).write_text(value)
        return str(place)

    def instruction(self, storage_uri: str, **data: Any) -> str:
        told = {"name": "iris", "storageUri": storage_uri, **data}
        return json.dumps({"data": [told], "workspace": str(self.folder / "workspace")})

    def fetch(self, storage_uri: str, **data: Any) -> Finished:
        """What the process does, without a process: its start would be most of the time of these tests."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            try:
                self.report = fetch.fetch(instruction.parse(self.instruction(storage_uri, **data)))
            except Failure as failure:
                return Finished(failure.exit_code, out.getvalue(), str(failure))
        return Finished(0, out.getvalue(), "")

    def run(
        self, storage_uri: str, env: Mapping[str, str], module: str = "tandem.runtime.fetch", **data: Any
    ) -> Finished:
        told = self.instruction(storage_uri, **data)
        variables = {"TANDEM_FETCH": told, "TANDEM_TERMINATION_LOG": str(self.folder / "log"), **env}
        return run_module(module, cwd=self.folder, env=pod_environment(self.folder, **variables))

    def version(self, storage_uri: str, **data: Any) -> str:
        """What the store says of the state of the data."""
        [told] = instruction.parse(self.instruction(storage_uri, **data)).data
        return version_now(told)

    @property
    def told(self) -> dict[str, Any]:
        """What the report says of the data set."""
        assert self.report is not None
        [data] = json.loads(self.report.encoded(4096))["data"]
        return {name: value for name, value in data.items() if name != "version"}

    @property
    def told_version(self) -> str:
        assert self.report is not None
        return self.report.data[0].version

    def files(self) -> dict[str, bytes]:
        place = self.folder / "workspace" / "data"
        return {p.relative_to(place).as_posix(): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}
