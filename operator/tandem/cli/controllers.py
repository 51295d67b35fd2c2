"""``tandem operator | drift``: the processes of the image."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from tandem.engine.logs import LogFormat, set_up_logging

if TYPE_CHECKING:
    from tandem.engine import process

logger = logging.getLogger(__name__)

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
LeaseDuration = Annotated[
    int,
    typer.Option(
        envvar="TANDEM_LEASE_DURATION", min=2, help="Seconds until another replica takes over from a dead one."
    ),
]
ResyncPeriod = Annotated[
    float, typer.Option(envvar="TANDEM_RESYNC_PERIOD", min=1, help="Seconds between two comparisons with all objects.")
]
WatchPatience = Annotated[
    float,
    typer.Option(
        envvar="TANDEM_WATCH_PATIENCE",
        min=1,
        help="Seconds that a watch may withhold what is known to be there, before /healthz turns red.",
    ),
]
RequestRate = Annotated[
    int,
    typer.Option(
        envvar="TANDEM_REQUESTS_PER_SECOND",
        min=1,
        help="Requests to the API server, at most; twice as many in a burst. (Renewals of the Lease do not count.)",
    ),
]
Format = Annotated[LogFormat, typer.Option("--log-format", envvar="TANDEM_LOG_FORMAT", help="For people or machines.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0 switches it off.")]


def operator(
    mlflow_uri: MlflowUri,
    runtime_image: Annotated[
        str, typer.Option(envvar="TANDEM_RUNTIME_IMAGE", help="Image of fetch, model servers and default steps.")
    ],
    poll_interval: PollInterval = 10.0,
    namespace: Namespace = None,
    lease: Lease = True,
    lease_duration: LeaseDuration = 15,
    resync_period: ResyncPeriod = 600.0,
    watch_patience: WatchPatience = 120.0,
    requests_per_second: RequestRate = 200,
    log_format: Format = LogFormat.TEXT,
    health_port: Port = 8081,
    metrics_port: Port = 8080,
) -> None:
    """Run the operator: TrainingJobs and AppDeployments."""
    from tandem import main as wiring

    configuration = wiring.Configuration(mlflow_uri, runtime_image, timedelta(seconds=poll_interval))
    options = _options(
        "tandem-operator",
        namespace,
        lease,
        lease_duration,
        resync_period,
        watch_patience,
        requests_per_second,
        health_port,
        metrics_port,
    )
    options = replace(options, configuration_poll=timedelta(seconds=poll_interval))
    _run(wiring.operate(configuration, options), log_format)


def drift(
    mlflow_uri: MlflowUri,
    poll_interval: PollInterval = 60.0,
    namespace: Namespace = None,
    lease: Lease = True,
    lease_duration: LeaseDuration = 15,
    resync_period: ResyncPeriod = 600.0,
    watch_patience: WatchPatience = 120.0,
    requests_per_second: RequestRate = 200,
    log_format: Format = LogFormat.TEXT,
    health_port: Port = 8081,
    metrics_port: Port = 8080,
) -> None:
    """Run the model-drift controller: reads MLflow's metrics and asks for retraining, with brakes."""
    from tandem import main as wiring

    configuration = wiring.Configuration(mlflow_uri, "", timedelta(seconds=poll_interval))
    options = _options(
        "tandem-drift",
        namespace,
        lease,
        lease_duration,
        resync_period,
        watch_patience,
        requests_per_second,
        health_port,
        metrics_port,
    )
    _run(wiring.watch_drift(configuration, options), log_format)


def _options(
    name: str,
    namespaces: list[str] | None,
    lease: bool,
    lease_duration: int,
    resync_period: float,
    watch_patience: float,
    requests_per_second: int,
    health_port: int,
    metrics_port: int,
) -> process.Options:
    from tandem.engine import process

    return process.Options(
        name=name,
        # A pod's name is its alone, and a container that is started anew in it may go on leading. Elsewhere several
        # processes share a host's name.
        instance=os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}",
        namespaces=tuple(namespaces or ()),
        lease_namespace=os.environ.get("POD_NAMESPACE", "default") if lease else None,
        lease_times=process.LeaseTimes(lease_duration),
        resync_period=resync_period,
        watch_patience=watch_patience,
        requests_per_second=requests_per_second,
        health_port=health_port or None,
        metrics_port=metrics_port or None,
    )


def _run(coroutine: Coroutine[None, None, None], log_format: LogFormat) -> None:
    from tandem.engine import process

    set_up_logging(log_format)
    # asyncio's own loop, not uvloop's: docs/design/event-loop.md.
    with asyncio.Runner() as runner:
        try:
            runner.run(coroutine)
        except process.MustEnd as reason:
            # Another replica may lead by now: end at once, the kubelet starts this one anew. Whatever is left in the
            # loop is not waited for: a watch of kopf's may never end.
            logger.critical("%s", reason)
            logging.shutdown()
            os._exit(1)
