"""``tandem operator | drift | version``: the commands of the image."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Coroutine
from datetime import timedelta
from typing import Annotated

import typer

from tandem import __version__
from tandem.engine import process

app = typer.Typer(
    help="Tandem: models and apps, side by side, on Kubernetes.", no_args_is_help=True, add_completion=False
)

MlflowUri = Annotated[str, typer.Option(envvar="TANDEM_MLFLOW_URI", help="MLflow tracking server, as pods reach it.")]
PollInterval = Annotated[
    float, typer.Option(envvar="TANDEM_POLL_INTERVAL", min=0.5, help="Seconds between two looks at the registry.")
]
Namespace = Annotated[
    list[str] | None, typer.Option(help="Watch only this namespace (repeatable). Default: the whole cluster.")
]
Lease = Annotated[
    bool, typer.Option(envvar="TANDEM_LEASE", help="Lead by a Lease; several replicas take over from one another.")
]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 switches it off.")]


@app.command()
def operator(
    mlflow_uri: MlflowUri,
    runtime_image: Annotated[
        str, typer.Option(envvar="TANDEM_RUNTIME_IMAGE", help="Image of fetch, model servers and default steps.")
    ],
    poll_interval: PollInterval = 10.0,
    namespace: Namespace = None,
    lease: Lease = True,
    health_port: Port = 8081,
    metrics_port: Port = 8080,
) -> None:
    """Run the operator: TrainingJobs and AppDeployments."""
    from tandem import main as wiring

    configuration = wiring.Configuration(mlflow_uri, runtime_image, timedelta(seconds=poll_interval))
    options = _options("tandem-operator", namespace, lease, health_port, metrics_port)
    _run(wiring.operate(configuration, options))


@app.command()
def drift(
    mlflow_uri: MlflowUri,
    poll_interval: PollInterval = 60.0,
    namespace: Namespace = None,
    lease: Lease = True,
    health_port: Port = 8081,
    metrics_port: Port = 8080,
) -> None:
    """Run the model-drift controller: reads MLflow's metrics and asks for retraining, with brakes."""
    from tandem import main as wiring

    configuration = wiring.Configuration(mlflow_uri, "", timedelta(seconds=poll_interval))
    options = _options("tandem-drift", namespace, lease, health_port, metrics_port)
    _run(wiring.watch_drift(configuration, options))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    app()


def _options(
    name: str, namespaces: list[str] | None, lease: bool, health_port: int, metrics_port: int
) -> process.Options:
    return process.Options(
        name=name,
        instance=os.environ.get("POD_NAME") or socket.gethostname(),
        namespaces=tuple(namespaces or ()),
        lease_namespace=os.environ.get("POD_NAMESPACE", "default") if lease else None,
        health_port=health_port or None,
        metrics_port=metrics_port or None,
    )


def _run(coroutine: Coroutine[None, None, None]) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        asyncio.run(coroutine)
    except process.LeadershipLost as lost:
        # Another replica may lead by now: end at once, the kubelet starts this one anew.
        logging.critical("%s", lost)
        raise typer.Exit(1) from lost


if __name__ == "__main__":
    main()
