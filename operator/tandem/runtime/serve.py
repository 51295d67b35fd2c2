"""The model server of an AppDeployment: MLflow's own app, and on every answer the version that gave it.

``python -m tandem.runtime.serve --model models:/iris/3 --port 8080``

It listens only once the model is loaded, so ``/health`` (MLflow's own) is reachable when predictions are. On SIGTERM
it stops accepting and finishes the requests that are open; the pod's preStop sleep covers the time in which the
cluster still sends new ones.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from tandem.runtime import failure
from tandem.runtime.failure import Failure
from tandem.runtime.provenance import Provenance, Served

if TYPE_CHECKING:
    from mlflow.pyfunc import PyFuncModel

_REGISTERED: Final = re.compile(r"^models:/(?P<name>[^/@]+)/(?P<version>[0-9]+)$")


class ModelNotLoaded(Failure):
    exit_code: ClassVar[int] = 4


@dataclass(frozen=True)
class Flags:
    model: str
    host: str
    port: int
    served: Served


def flags(arguments: Sequence[str]) -> Flags:
    """Command line to flags; name and version come from a ``models:/name/version`` URI when they are not given."""
    parser = argparse.ArgumentParser(prog="python -m tandem.runtime.serve", description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, help="MLflow model URI, e.g. models:/iris/3")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on (default: all)")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--name", default="", help="registered model (default: from --model)")
    parser.add_argument("--version", default="", help="its version (default: from --model)")
    parser.add_argument("--run-id", default="", help="MLflow run that made it (default: from the model's metadata)")
    given = parser.parse_args(arguments)
    registered = _REGISTERED.match(given.model)
    return Flags(
        model=given.model,
        host=given.host,
        port=given.port,
        served=Served(
            name=given.name or (registered["name"] if registered else ""),
            version=given.version or (registered["version"] if registered else ""),
            run_id=given.run_id,
        ),
    )


def load(uri: str) -> PyFuncModel:
    """Download and load the model.

    Raises:
        ModelNotLoaded: for whatever reason; a model's own code may raise anything at all.
    """
    import mlflow.pyfunc

    try:
        model: PyFuncModel = mlflow.pyfunc.load_model(uri)
    except Exception as error:
        logging.getLogger(__name__).exception("could not load %s", uri)
        reason = " ".join(str(error).split())[:500] or type(error).__name__
        raise ModelNotLoaded(f"could not load the model {uri}: {reason}") from None
    return model


def serve(settings: Flags) -> None:
    """Serve until SIGTERM; returns when the open requests are answered."""
    model = load(settings.model)

    import uvicorn
    from mlflow.pyfunc import scoring_server

    served = settings.served
    if not served.run_id:
        served = Served(served.name, served.version, model.metadata.run_id or "")
    app = Provenance(scoring_server.init(model), served)
    # No access log: a line per prediction costs more than the prediction's own bookkeeping; /metrics counts them.
    # No limit on the time to finish open requests: the pod's terminationGracePeriodSeconds is that limit.
    uvicorn.run(app, host=settings.host, port=settings.port, access_log=False, timeout_graceful_shutdown=None)


def command() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # Terminals are not where this runs, and a progress bar in a log is one endless line.
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    serve(flags(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(failure.run(command))
