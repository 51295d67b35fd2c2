"""The Job that judges a revision, and the Service by which it finds that revision's pods.

One pod: a container of the runtime that measures, and beside it one for each metric that is a container of the user's;
those begin when the cluster's DNS knows the Service.
It runs in the resource's own namespace, with nothing that a pod of that namespace would not have: no token of a
ServiceAccount, and of the Secrets only those that a metric names, in the container that measures alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from tandem.api import names, restricted
from tandem.api.analysis import JobMetric, Metric
from tandem.api.containers import MAX_INT32, Quantity, limits_beside, limits_like
from tandem.api.meta import Json, to_json
from tandem.apps.analysis_time import deadline_of, seconds
from tandem.apps.case import Case
from tandem.apps.manifest import CONTAINER, PORT_NAME, marked, metadata, selector
from tandem.apps.revision import Owned, hashed

# Of the pods, which have no other label of the app: its Service may select all pods of the app, and /scale counts
# the stable ones (argo-rollouts#3828: analysis pods that were scaled away).
ANALYSIS_LABEL: Final = f"{names.GROUP}/analysis"
MOMENT_ANNOTATION: Final = f"{names.GROUP}/analysis-moment"
METRICS_ANNOTATION: Final = f"{names.GROUP}/analysis-metrics"
MEASURE: Final = "analyse"
RESOLVE: Final = "resolve"
JOB_PREFIX: Final = "job-"
START_SECONDS: Final = 600  # a pod may wait for a node and pull its images before anything is measured
TTL_SECONDS: Final = 86400  # how long the logs of a judgement are there; without the Job it would be made anew

_SECRETS: Final = "/tandem/secrets"
_MESSAGES: Final = 12288  # bytes that the kubelet keeps of all containers of a pod together
_MESSAGE: Final = 4096
_REQUESTS: Final[dict[str, Quantity]] = {"cpu": "50m", "memory": "128Mi"}
# 39 MB when it begins, and every answer is bounded (4 MiB).
_LIMITS: Final[dict[str, Quantity]] = {"cpu": "500m", "memory": "256Mi"}
# Of what only waits for a name: plain Python.
_RESOLVE_REQUESTS: Final[dict[str, Quantity]] = {"cpu": "10m", "memory": "32Mi"}
_RESOLVE_LEAST: Final[dict[str, Quantity]] = {"cpu": "50m", "memory": "64Mi"}


def job_name(case: Case, owned: Owned, moment: str, since: datetime, metrics: Sequence[Metric]) -> str:
    """Another revision, moment, try or question has another name: what was measured for one is nobody else's."""
    what: Json = {
        "revision": owned.deployment.metadata.uid,  # a number may come again after everything was deleted
        "moment": moment,
        "since": since.isoformat(),
        "metrics": digest_of_metrics(metrics),
        "try": case.app.metadata.annotations.get(names.REQUESTED_AT_ANNOTATION, ""),
    }
    return f"{case.app.metadata.name}-{hashed(what)[:10]}"  # 63 characters at most: it becomes a label of the pod


def digest_of_metrics(metrics: Sequence[Metric]) -> str:
    return hashed({"metrics": [to_json(metric) for metric in metrics]})


def service_name(case: Case) -> str:
    return f"{case.app.metadata.name}-analysis"


def asks_pods(metrics: Sequence[Metric]) -> bool:
    return any(metric.pods or metric.job or "$(URL)" in _texts(metric) for metric in metrics)


def service_manifest(case: Case, owned: Owned) -> Json:
    """Without an address of its own: its name is the pods of one revision, whoever has the traffic meanwhile."""
    return marked(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(case, service_name(case)),
            "spec": {
                "clusterIP": "None",
                "selector": selector(case, owned.number),
                "ports": [
                    {"name": PORT_NAME, "port": port_of(case, owned), "targetPort": PORT_NAME, "protocol": "TCP"}
                ],
            },
        }
    )


def port_of(case: Case, owned: Owned) -> int:
    """The revision's own: the spec may say another one by now."""
    return owned.deployment.port_of(CONTAINER, PORT_NAME) or case.spec.port


def job_manifest(case: Case, owned: Owned, moment: str, since: datetime, metrics: Sequence[Metric]) -> Json:
    measured = [metric for metric in metrics if metric.job is None]
    deadline = max(
        [deadline_of(metric, moment) for metric in measured]
        + [metric.job.active_deadline_seconds for metric in metrics if metric.job is not None]
    )
    notes = {MOMENT_ANNOTATION: moment, METRICS_ANNOTATION: digest_of_metrics(metrics)}
    meta = metadata(case, job_name(case, owned, moment, since, metrics), owned.number, notes)
    meta["labels"] |= {ANALYSIS_LABEL: case.app.metadata.name}
    pod_labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, ANALYSIS_LABEL: case.app.metadata.name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": meta,
        "spec": {
            "backoffLimit": 0,
            # What was drained or preempted is measured anew, for as long as there is time.
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
            },
            "activeDeadlineSeconds": min(int(deadline) + START_SECONDS, MAX_INT32),
            "ttlSecondsAfterFinished": TTL_SECONDS,
            "template": {
                "metadata": {"labels": pod_labels},
                "spec": _pod_spec(case, owned, moment, since, metrics),
            },
        },
    }


def _pod_spec(case: Case, owned: Owned, moment: str, since: datetime, metrics: Sequence[Metric]) -> Json:
    measured = [metric for metric in metrics if metric.job is None]
    secrets = [(metric.name, secret) for metric in measured if (secret := _secret_of(metric))]
    known = placeholders(case, owned)
    jobs = {metric.name: metric.job for metric in metrics if metric.job is not None}
    init_containers = [_resolve(case, list(jobs.values()))] if jobs else []
    containers = [_job(name, job, known) for name, job in jobs.items()]
    if measured:
        # Where a quota on limits lets the app in, it lets in what judges it.
        others = [case.spec.resources, *(job.resources for job in jobs.values())]
        limits = limits_like([one.limits for one in others], _LIMITS)
        containers.insert(0, _measure(case, owned, moment, since, measured, 1 + len(containers), limits))
    return {
        "restartPolicy": "Never",
        **restricted.pod_fields(),
        **({"initContainers": init_containers} if init_containers else {}),
        "containers": containers,
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            *({"name": f"secret-{name}", "secret": {"secretName": secret}} for name, secret in secrets),
        ],
    }


def placeholders(case: Case, owned: Owned) -> dict[str, str]:
    """What ``$(…)`` may stand for: names and numbers that Kubernetes has validated, so that no query is broken."""
    meta, model = case.app.metadata, owned.shown.model
    return {
        "NAME": meta.name,
        "NAMESPACE": meta.namespace,
        "REVISION": str(owned.number),
        "URL": f"http://{_host(case)}:{port_of(case, owned)}",
        **({"MODEL_VERSION": model.version} if model is not None else {}),
    }


def _host(case: Case) -> str:
    return f"{service_name(case)}.{case.app.metadata.namespace}.svc"


def _resolve(case: Case, jobs: Sequence[JobMetric]) -> Json:
    limits = limits_beside([job.resources.limits for job in jobs], _RESOLVE_LEAST)
    container = _container(RESOLVE, case.settings.runtime_image, {}, _RESOLVE_REQUESTS, limits)
    return container | {"command": ["python", "-m", "tandem.runtime.resolve", _host(case)]}


def _measure(
    case: Case,
    owned: Owned,
    moment: str,
    since: datetime,
    metrics: Sequence[Metric],
    containers: int,
    limits: Mapping[str, Quantity],
) -> Json:
    instruction = {
        "metrics": [_instruction(case, owned, metric) for metric in metrics],
        "placeholders": placeholders(case, owned),
        "since": since.isoformat(),
        "deadlineSeconds": max(deadline_of(metric, moment) for metric in metrics),
        "reportLimit": min(_MESSAGE, _MESSAGES // containers),
    }
    # A dollar is doubled because the kubelet expands $(NAME): it is the runtime that fills a query in.
    told = msgspec.json.encode(instruction).decode().replace("$", "$$")
    container = _container(
        MEASURE,
        case.settings.runtime_image,
        {"TANDEM_ANALYSIS": told, "MLFLOW_TRACKING_URI": case.settings.mlflow_uri.replace("$", "$$")},
        _REQUESTS,
        limits,
    )
    container["command"] = ["python", "-m", "tandem.runtime.analyse"]
    container["volumeMounts"] += [
        {"name": f"secret-{metric.name}", "mountPath": f"{_SECRETS}/{metric.name}", "readOnly": True}
        for metric in metrics
        if _secret_of(metric)
    ]
    return container


def _job(name: str, job: JobMetric, known: dict[str, str]) -> Json:
    container = _container(
        f"{JOB_PREFIX}{name}",
        job.image,
        known | {variable.name: variable.value for variable in job.env},
        {**_REQUESTS, **job.resources.limits, **job.resources.requests},
        job.resources.limits,
    )
    return (
        container
        | ({"command": list(job.command)} if job.command else {})
        | ({"args": list(job.args)} if job.args else {})
    )


def _container(
    name: str, image: str, env: dict[str, str], requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]
) -> Json:
    return {
        "name": name,
        "image": image,
        "env": [{"name": key, "value": value} for key, value in ({"HOME": "/tmp"} | env).items()],
        "resources": {"requests": dict(requests), **({"limits": dict(limits)} if limits else {})},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **restricted.container_fields(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


def _instruction(case: Case, owned: Owned, metric: Metric) -> Json:
    """As :mod:`tandem.runtime.analysis.instruction` reads it."""
    secret = f"{_SECRETS}/{metric.name}" if _secret_of(metric) else ""
    told: Json = {
        "name": metric.name,
        "interval": seconds(metric.interval),
        "initialDelay": seconds(metric.initial_delay),
        "count": metric.count,
        "failureLimit": metric.failure_limit,
        "inconclusiveLimit": metric.inconclusive_limit,
        "consecutiveErrorLimit": metric.consecutive_error_limit,
        "onNoData": metric.on_no_data,
        "dryRun": metric.dry_run,
        **{key: bound for key, bound in (("min", metric.min), ("max", metric.max)) if bound is not None},
    }
    if metric.prometheus is not None:
        asked = metric.prometheus
        told["prometheus"] = {"address": asked.address, "query": asked.query, "secret": secret}
    elif metric.web is not None:
        told["web"] = {"url": metric.web.url, "jsonPointer": metric.web.json_pointer, "secret": secret}
    elif metric.mlflow is not None:
        model = owned.shown.model
        assert model is not None  # whoever plans this Job has seen to it
        of = (
            {"runId": model.run_id}
            if metric.mlflow.run == "Training"
            else {"model": model.name, "version": model.version}
        )
        told["mlflow"] = {"metric": metric.mlflow.metric, **of}
    elif metric.pods is not None:
        told["pods"] = {
            "host": service_name(case),
            "port": port_of(case, owned),
            "metric": metric.pods.metric,
            "minRequests": metric.pods.min_requests,
            "ignoredPaths": [case.spec.health_path] if case.spec.health_path else [],
        }
    return told


def _secret_of(metric: Metric) -> str:
    asked = metric.prometheus or metric.web
    return asked.secret_ref.name if asked is not None and asked.secret_ref is not None else ""


def _texts(metric: Metric) -> str:
    if metric.prometheus is not None:
        return f"{metric.prometheus.address} {metric.prometheus.query}"
    return metric.web.url if metric.web is not None else ""
