"""What every pod of a TrainingJob has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tandem.api import restricted
from tandem.api.containers import Resources
from tandem.api.meta import Json

_DEFAULT_REQUESTS: Final[dict[str, str | int]] = {"cpu": "100m", "memory": "256Mi"}


def pod_spec(init_containers: list[Json], container: Json, volumes: list[Json], placement: Json) -> Json:
    """A pod that runs once, without any right in the cluster; ``placement``: where it may run."""
    fields = restricted.pod_fields()
    # A claim with a million files is not given to the group again at every run.
    fields["securityContext"]["fsGroupChangePolicy"] = "OnRootMismatch"
    return {
        "restartPolicy": "Never",
        **fields,
        **placement,
        "initContainers": init_containers,
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}, *volumes],
    }


def container(
    name: str, image: str, command: list[str], env: Mapping[str, str], resources: Resources, mounts: list[Json]
) -> Json:
    return {
        "name": name,
        "image": image,
        "command": command,
        # The root file system is read-only and the user has no home: libraries cache under /tmp. A dollar is doubled
        # because the kubelet expands $(NAME): what a script gets is what MLflow has on record.
        "env": [{"name": key, "value": value.replace("$", "$$")} for key, value in {**env, "HOME": "/tmp"}.items()],
        "resources": {
            # A limit below our default request is the request: else the Job would be refused.
            "requests": {**_DEFAULT_REQUESTS, **resources.limits, **resources.requests},
            **({"limits": resources.limits} if resources.limits else {}),
        },
        # The last lines of the log become the container's message: a failure is explained without a right to read logs.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **restricted.container_fields(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *mounts],
    }
