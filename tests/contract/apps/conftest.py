"""One API server with the real controllers of Deployments and HorizontalPodAutoscalers, for all that is asked here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cluster.control_plane import ControlPlane
from tests.crds import FILES


@pytest.fixture(scope="package")
def plane() -> Iterator[ControlPlane]:
    """An API server with the Deployment controller, and a namespace that takes `restricted` pods alone."""
    with ControlPlane(controllers=True) as plane:
        plane.define(FILES["AppDeployment"])
        # The autoscalers' controller asks which kinds there are when it starts, and then every 30 seconds.
        plane.kill("kube-controller-manager")
        plane.kubectl("create", "namespace", "team")
        plane.kubectl("label", "namespace", "team", "pod-security.kubernetes.io/enforce=restricted")
        yield plane
