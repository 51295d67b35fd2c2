"""metrics-server as a Deployment: what `kubectl top` and HorizontalPodAutoscalers of CPU and memory ask.

As its own release has it, but that kubelets are asked every 10 seconds, and with their certificates verified where the
cluster's authority has signed them.
"""

from __future__ import annotations

from collections.abc import Iterator

NAME = "metrics-server"
API_SERVICE = "v1beta1.metrics.k8s.io"
LABELS = {"k8s-app": NAME}
PORT = 4443
_NAMESPACED = {"name": NAME, "namespace": "kube-system"}
_ACCOUNT = {"kind": "ServiceAccount", **_NAMESPACED}
_RBAC = "rbac.authorization.k8s.io"
VERIFIED = "--kubelet-certificate-authority=/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
UNVERIFIED = "--kubelet-insecure-tls"  # the kubelet has signed its certificate itself


def manifests(image: str, kubelet: str = VERIFIED) -> Iterator[dict[str, object]]:
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _NAMESPACED}
    yield from _rights()
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**_NAMESPACED, "labels": LABELS},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": LABELS},
            "template": {"metadata": {"labels": LABELS}, "spec": _pod(image, kubelet)},
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {**_NAMESPACED, "labels": LABELS},
        "spec": {"selector": LABELS, "ports": [{"name": "https", "port": 443, "targetPort": "https"}]},
    }
    yield {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": API_SERVICE},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,  # it makes itself a certificate at each start
            "service": {**_NAMESPACED, "port": 443},
        },
    }


def _rights() -> Iterator[dict[str, object]]:
    yield {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {
            "name": "system:aggregated-metrics-reader",
            "labels": {f"{_RBAC}/aggregate-to-{role}": "true" for role in ("view", "edit", "admin")},
        },
        "rules": [{"apiGroups": ["metrics.k8s.io"], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}],
    }
    yield {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:metrics-server"},
        "rules": [
            {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
        ],
    }
    for name, role in (
        ("system:metrics-server", "system:metrics-server"),
        ("metrics-server:system:auth-delegator", "system:auth-delegator"),
    ):
        yield {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [_ACCOUNT],
        }
    yield {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "metrics-server-auth-reader", "namespace": "kube-system"},
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": "extension-apiserver-authentication-reader"},
        "subjects": [_ACCOUNT],
    }


def _pod(image: str, kubelet: str) -> dict[str, object]:
    return {
        "serviceAccountName": NAME,
        "priorityClassName": "system-cluster-critical",
        "containers": [
            {
                "name": NAME,
                "image": image,
                "imagePullPolicy": "Never",
                "args": [
                    "--cert-dir=/tmp",
                    f"--secure-port={PORT}",
                    "--kubelet-preferred-address-types=InternalIP",
                    kubelet,
                    "--kubelet-use-node-status-port",
                    "--metric-resolution=10s",
                    "--kubelet-request-timeout=9s",  # has to be less
                ],
                "ports": [{"name": "https", "containerPort": PORT, "protocol": "TCP"}],
                "resources": {"requests": {"cpu": "10m", "memory": "50Mi"}},
                "readinessProbe": {
                    "httpGet": {"path": "/readyz", "port": "https", "scheme": "HTTPS"},
                    "periodSeconds": 2,
                    "failureThreshold": 3,
                },
                "livenessProbe": {
                    "httpGet": {"path": "/livez", "port": "https", "scheme": "HTTPS"},
                    "initialDelaySeconds": 30,
                },
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "runAsNonRoot": True,
                    "runAsUser": 65532,
                    "capabilities": {"drop": ["ALL"]},
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
