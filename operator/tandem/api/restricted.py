"""What every pod of Tandem's has, whatever a spec says: it satisfies Pod Security ``restricted``.

And more than that asks for (https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted): no token
of a ServiceAccount, no list of the namespace's Services in the environment, a root file system that is read-only.
"""

from __future__ import annotations

from typing import Final

from tandem.api.meta import Json

_USER: Final = 65532  # the runtime image's own non-root user; any other image runs as it too


def pod_fields() -> Json:
    """Of a pod's spec."""
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }


def container_fields() -> Json:
    """Of each of its containers."""
    return {
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
