"""The operator as a process, one for each module that asks, in a namespace of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.contract.api_server import ApiServer
from tests.contract.engine.operator_process import OperatorProcess
from tests.contract.tracking.server import MlflowServer

StartOperator: TypeAlias = Callable[..., OperatorProcess]


@pytest.fixture
def start_operator(api_server: ApiServer, mlflow_server: MlflowServer, tmp_path: Path) -> Iterator[StartOperator]:
    """Starts replicas that end with the test."""
    started: list[OperatorProcess] = []

    def start(*arguments: str, name: str = "one", lease: bool = False) -> OperatorProcess:
        kubeconfig = api_server.plane.kubeconfig
        operator = OperatorProcess(kubeconfig, mlflow_server.url, tmp_path, *arguments, name=name, lease=lease)
        operator.start()
        started.append(operator)
        return operator

    yield start
    for operator in started:
        operator.kill()


@pytest.fixture(scope="module")
def team(api_server: ApiServer, request: pytest.FixtureRequest) -> str:
    """The namespace that the module's operator watches."""
    name = str(request.module.__name__).rpartition(".")[2].replace("_", "-")
    return api_server.new_namespace(name)


@pytest.fixture(scope="module")
def operator(
    api_server: ApiServer, mlflow_server: MlflowServer, team: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    kubeconfig, folder = api_server.plane.kubeconfig, tmp_path_factory.mktemp("operator")
    with OperatorProcess(kubeconfig, mlflow_server.url, folder, "--namespace", team, name=team) as operator:
        operator.await_ready()
        yield operator
