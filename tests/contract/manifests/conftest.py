"""The namespace, the ServiceAccounts and the roles of an installation, for real: what dry runs have to refer to."""

from __future__ import annotations

import pytest

from tests.contract.api_server import ApiServer
from tests.contract.manifests.built import built


@pytest.fixture(scope="session")
def installed(api_server: ApiServer) -> ApiServer:
    """The base as `kubectl apply --server-side -k` installs it (no controllers run: no pod ever starts)."""
    api_server.plane.kubectl("apply", "--server-side", "-f", "-", stdin=built(api_server.plane, "base"))
    # kube-controller-manager makes this one, and the API server admits no pod without it.
    api_server.plane.kubectl("create", "serviceaccount", "default", "--namespace=tandem-system")
    return api_server
