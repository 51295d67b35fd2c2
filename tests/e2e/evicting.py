"""Pods that are taken away as `kubectl drain` does it."""

from __future__ import annotations

import json

from demo.kubectl import Kubectl


def evict(kubectl: Kubectl, pod: str) -> None:
    """Raises: KubectlFailed (TooManyRequests): a PodDisruptionBudget does not let it go now."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{pod}/eviction"
    kubectl.run("create", "--raw", path, "--filename=-", stdin=json.dumps(eviction))
