"""Pod Security ``restricted``, as Kubernetes v1.37 defines it, for the fields that a pod template can have."""

from __future__ import annotations

from collections.abc import Iterator

from tandem.api.meta import Json

_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def violations(pod: Json) -> list[str]:
    return [*_of_pod(pod), *(found for container in _containers(pod) for found in _of_container(pod, container))]


def _of_pod(pod: Json) -> Iterator[str]:
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    for volume in pod.get("volumes", []):
        if not set(volume) - {"name"} <= _VOLUMES:
            yield f"volume {volume}"
    if pod.get("securityContext", {}).get("sysctls"):
        yield "sysctls"


def _of_container(pod: Json, container: Json) -> Iterator[str]:
    of_pod, own = pod.get("securityContext", {}), container.get("securityContext", {})
    both = {**of_pod, **own}
    if both.get("runAsNonRoot") is not True:
        yield "runAsNonRoot"
    if both.get("runAsUser") == 0:
        yield "runAsUser"
    if both.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "seccompProfile"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if own.get("privileged"):
        yield "privileged"
    if "ALL" not in own.get("capabilities", {}).get("drop", []) or own["capabilities"].get("add"):
        yield "capabilities"
    if any("hostPort" in port for port in container.get("ports", [])):
        yield "hostPort"
    for hook in container.get("lifecycle", {}).values():
        if "host" in hook.get("httpGet", {}) or "host" in hook.get("tcpSocket", {}):
            yield "host in a lifecycle hook"


def _containers(pod: Json) -> list[Json]:
    return [*pod.get("initContainers", []), *pod["containers"]]
