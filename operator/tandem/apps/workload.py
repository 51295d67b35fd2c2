"""The objects of a revision: its Deployment, and the Service in front of all of them.

A Deployment is created once, whole; its pod template never changes afterwards, because another content is another
revision. What does change later (how many pods, what is remembered of it) is applied by itself, a few fields under
the same owner. So a new release of the operator restarts nobody's pods, and an apply that comes too late finds no
Deployment and is refused, instead of bringing back a revision that was deleted.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Final

import msgspec

from tandem.api import names, restricted
from tandem.api.appdeployment_status import RevisionModel
from tandem.api.meta import Json
from tandem.apps.case import Case
from tandem.apps.manifest import (
    CONTAINER,
    PORT_NAME,
    labels,
    marked,
    metadata,
    name_of,
    preview_name,
    selector,
)
from tandem.apps.note import (
    NOTE_ANNOTATION,
    NOTHING_SPENT,
    SPENT_ANNOTATION,
    TRAFFIC_ANNOTATION,
    Note,
    Spent,
    Traffic,
    write,
)
from tandem.apps.revision import (
    APPLIED_ANNOTATION,
    CONTENT_ANNOTATION,
    STARTED_ANNOTATION,
    VERDICT_ANNOTATION,
    Content,
    Shown,
    Verdict,
    copy_name,
)

_HEALTH: Final = "/health"  # of Tandem's own model server: MLflow's

_APP_REQUESTS: Final[dict[str, str | int]] = {"cpu": "50m", "memory": "64Mi"}
# Beside a training on a full node this is its share of the processor: with half of it ten requests a second took 4 s.
_MODEL_REQUESTS: Final[dict[str, str | int]] = {"cpu": "100m", "memory": "512Mi"}

# A model is downloaded and loaded before the port opens; an app is usually there in seconds.
_APP_START_SECONDS: Final = 120
_MODEL_START_SECONDS: Final = 600
_PROBE_PERIOD: Final = 2  # how long a switch waits at most after the app has become ready
# Seconds: the cluster goes on sending requests for a moment after a pod was told to stop. With five of them two of some
# 1,900 found no host on a node without a processor to spare, whose kube-proxy was later than that.
_DRAIN: Final = 10


def scale_manifest(
    case: Case,
    number: int,
    digest: str,
    shown: Shown,
    replicas: int,
    started_at: datetime | None,
    verdict: Verdict | None = None,
    image: str = "",
    spent: Spent = NOTHING_SPENT,
) -> Json:
    """What may change of a revision's Deployment, with the mark by which a difference is seen.

    ``image``: the digest that it is pinned to, where it is.
    """
    notes = {names.SPEC_DIGEST_ANNOTATION: digest, CONTENT_ANNOTATION: msgspec.json.encode(shown).decode()}
    if started_at is not None:
        notes[STARTED_ANNOTATION] = started_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    if verdict is not None:
        notes[VERDICT_ANNOTATION] = msgspec.json.encode(verdict).decode()
    if spent.words:
        notes[SPENT_ANNOTATION] = write(spent)
    spec: Json = {"replicas": replicas, "progressDeadlineSeconds": case.spec.progress_deadline_seconds}
    if image:  # a list that an apply merges by name: the rest of the container stays
        spec["template"] = {"spec": {"containers": [{"name": CONTAINER, "image": image}]}}
    meta = metadata(case, name_of(case, number), number, notes)
    return marked({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})


def deployment_manifest(
    case: Case,
    number: int,
    digest: str,
    shown: Shown,
    content: Content,
    replicas: int | None = None,
    note: Note | None = None,
) -> Json:
    """``replicas``: as many as the spec asks for, unless it begins with fewer."""
    count = case.spec.replicas if replicas is None else replicas
    manifest = scale_manifest(case, number, digest, shown, count, case.second)
    manifest = with_note(manifest, write(note)) if note is not None else manifest
    manifest["spec"] |= {
        "revisionHistoryLimit": 0,  # a revision has one template
        "selector": {"matchLabels": selector(case, number)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
        "template": {"metadata": {"labels": labels(case, number)}, "spec": _pod_spec(case, number, content)},
    }
    return manifest


def with_note(manifest: Json, note: str) -> Json:
    """The same, with where its rollout has got to; '': nowhere, any more."""
    annotations = manifest["metadata"]["annotations"]
    del annotations[APPLIED_ANNOTATION]
    annotations[NOTE_ANNOTATION] = note
    return marked(manifest)


def service_manifest(case: Case, number: int, traffic: Traffic | None = None, *, shared: bool = False) -> Json:
    """The Service selects one revision, so that nobody is answered by two versions in turns; ``shared``: all of them.

    ``traffic``: what is remembered with it; None for a Service that has never had anything to remember.
    """
    everyone = {names.APP_LABEL: case.app.metadata.name}
    notes = {TRAFFIC_ANNOTATION: write(traffic)} if traffic is not None else {}
    return _service(case, case.app.metadata.name, everyone if shared else selector(case, number), notes)


def preview_manifest(case: Case, number: int, shown: Traffic) -> Json:
    """The Service in front of the candidate alone: what testers and analyses ask, and what a gateway gives weights."""
    return _service(case, preview_name(case), selector(case, number), {TRAFFIC_ANNOTATION: write(shown)})


def _service(case: Case, name: str, selected: dict[str, str], notes: dict[str, str]) -> Json:
    return marked(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(case, name, annotations=notes),
            "spec": {
                "selector": selected,
                "ports": [{"name": PORT_NAME, "port": 80, "targetPort": PORT_NAME, "protocol": "TCP"}],
            },
        }
    )


def _pod_spec(case: Case, number: int, content: Content) -> Json:
    spread = [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector(case, number)},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]
    return {
        **restricted.pod_fields(),
        "terminationGracePeriodSeconds": content.termination_grace_period_seconds,
        **({"topologySpreadConstraints": spread} if content.has("topology_spread") else {}),
        "containers": [_container(case, number, content)],
        "volumes": [{"name": "tmp", "emptyDir": {}}, *_volumes(case, number, content)],
    }


def _container(case: Case, number: int, content: Content) -> Json:
    model = content.model
    command, args = list(content.command), list(content.args)
    if content.own_server and model is not None:
        command, args = _serve(model, content.port), []
    container: Json = {
        "name": CONTAINER,
        "image": content.image,
        **({"envFrom": _env_from(case, number, content)} if content.env_from else {}),
        "env": [{"name": name, "value": value} for name, value in _env(case, content).items()],
        "ports": [{"name": PORT_NAME, "containerPort": content.port, "protocol": "TCP"}],
        "resources": _resources(content),
        **(_probes(content) if content.has("probes") else {}),
        **(_drain(content) if content.has("graceful_termination") else {}),
        # The last lines of the log become the container's message: a failure is explained without a right to read logs.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **restricted.container_fields(),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            *(
                {"name": f"config-{place}", "mountPath": source.mount_path, "readOnly": True}
                for place, source in enumerate(content.config_from)
            ),
        ],
    }
    return container | ({"command": command} if command else {}) | ({"args": args} if args else {})


def _env_from(case: Case, number: int, content: Content) -> list[Json]:
    """A variable of ``env`` wins over one of these, a later one over an earlier: as in a pod."""
    return [
        ({"prefix": source.prefix} if source.prefix else {})
        | (
            {"secretRef": {"name": source.secret}}
            if source.secret
            else {"configMapRef": {"name": copy_name(case.app.metadata.name, number, source.config_map)}}
        )
        for source in content.env_from
    ]


def _volumes(case: Case, number: int, content: Content) -> list[Json]:
    return [
        {"name": f"config-{place}"}
        | (
            {"secret": {"secretName": source.secret}}
            if source.secret
            else {"configMap": {"name": copy_name(case.app.metadata.name, number, source.config_map)}}
        )
        for place, source in enumerate(content.config_from)
    ]


def _resources(content: Content) -> Json:
    given, asked = content.resources, dict(content.resources.requests)
    if content.has("requests"):
        # Where only a limit is given it is the request as well, as in Kubernetes: a default might exceed it.
        asked = {**(_MODEL_REQUESTS if content.model else _APP_REQUESTS), **given.limits, **asked}
    return ({"requests": asked} if asked else {}) | ({"limits": given.limits} if given.limits else {})


def _drain(content: Content) -> Json:
    """Kubernetes takes no sleep as long as the whole grace period; of a short one the app keeps half."""
    seconds = min(_DRAIN, content.termination_grace_period_seconds // 2)
    return {"lifecycle": {"preStop": {"sleep": {"seconds": seconds}}}} if seconds else {}


def _serve(model: RevisionModel, port: int) -> list[str]:
    module = ["python", "-m", "tandem.runtime.serve"]
    version = ["--model", _uri(model), "--name", model.name, "--version", model.version, "--run-id", model.run_id]
    return [*module, *version, "--port", str(port)]


def _uri(model: RevisionModel) -> str:
    return f"models:/{model.name}/{model.version}"


def _env(case: Case, content: Content) -> dict[str, str]:
    """The user's variables; ours win, so that the version that serves is the one that the status names."""
    ours: dict[str, str] = {}
    if content.model is not None:
        ours["MLFLOW_TRACKING_URI"] = content.tracking_uri
        if not content.own_server:
            ours |= {
                "MODEL_NAME": content.model.name,
                "MODEL_VERSION": content.model.version,
                "MODEL_RUN_ID": content.model.run_id,
                "MODEL_URI": _uri(content.model),
            }
    # The root file system is read-only and the user has no home: libraries cache under /tmp.
    return {"HOME": "/tmp"} | {variable.name: variable.value for variable in content.env} | ours


def _probes(content: Content) -> Json:
    path = content.health_path or (_HEALTH if content.own_server else "")
    ask: Json = {"httpGet": {"path": path, "port": PORT_NAME}} if path else {"tcpSocket": {"port": PORT_NAME}}
    start = _MODEL_START_SECONDS if content.model else _APP_START_SECONDS
    return {
        "startupProbe": {
            **ask,
            "periodSeconds": _PROBE_PERIOD,
            "timeoutSeconds": 2,
            "failureThreshold": math.ceil(start / _PROBE_PERIOD),
        },
        "readinessProbe": {**ask, "periodSeconds": _PROBE_PERIOD, "timeoutSeconds": 2, "failureThreshold": 3},
        # Only that the port is open: an app whose database is away is not ready, and a restart would not help it.
        "livenessProbe": {
            "tcpSocket": {"port": PORT_NAME},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 6,
        },
    }
