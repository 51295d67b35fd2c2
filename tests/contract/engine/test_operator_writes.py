"""How often the operator writes, counted by the API server: twice for a TrainingJob, and never at rest."""

from __future__ import annotations

from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.contract.engine.operator_process import OperatorProcess


def jobs(api_server: ApiServer, namespace: str) -> list[str]:
    return api_server.plane.kubectl("get", "jobs", "-n", namespace, "-o", "name").split()


def test_a_training_job_costs_two_writes(api_server: ApiServer, operator: OperatorProcess, team: str) -> None:
    mark = api_server.plane.audit.mark()
    training = api_server.create(resource("TrainingJob", team, "iris"))
    operator.await_that(lambda: api_server.read(training)["status"].get("run") is not None, "a run")
    operator.await_resyncs(api_server.plane.audit, 1)

    # The namespace holds nothing else, so the Events of this one would be counted, too.
    assert operator.writes(mark, team) == {("create", "jobs"): 1, ("patch", "trainingjobs/status"): 1}
    assert jobs(api_server, team) == ["job.batch/iris-1"]


def test_nothing_is_written_while_nothing_differs(api_server: ApiServer, operator: OperatorProcess, team: str) -> None:
    app = api_server.create(resource("AppDeployment", team, "shop", image="ghcr.io/acme/shop@sha256:" + "0" * 64))
    operator.await_that(lambda: bool(api_server.read(app)["status"].get("conditions")), "a status of the app")
    operator.await_resyncs(api_server.plane.audit, 2)
    mark = api_server.plane.audit.mark()

    operator.await_resyncs(api_server.plane.audit, 3)

    assert operator.writes(mark, team) == {}


def test_an_operator_that_is_killed_and_started_again_trains_nothing_twice_and_writes_nothing(
    api_server: ApiServer, operator: OperatorProcess, team: str
) -> None:
    operator.await_resyncs(api_server.plane.audit, 1)
    before = jobs(api_server, team)
    mark = api_server.plane.audit.mark()
    operator.kill()
    operator.start()
    operator.await_ready()
    operator.await_resyncs(api_server.plane.audit, 2)

    assert operator.writes(mark, team) == {}
    assert jobs(api_server, team) == before


def test_an_operator_that_is_killed_between_the_job_and_the_status_finds_its_job_again(
    api_server: ApiServer, operator: OperatorProcess, team: str
) -> None:
    """The state that such a crash leaves: a Job, and a status that knows nothing of it."""
    training = api_server.create(resource("TrainingJob", team, "crashed"))
    operator.await_that(lambda: api_server.read(training)["status"].get("run") is not None, "a run")
    operator.kill()
    run = api_server.read(training)["status"]["run"]
    wiped = {"run": None, "conditions": None, "phase": None}
    api_server.merge(training, {"status": wiped}, "/status")
    mark = api_server.plane.audit.mark()

    operator.start()
    operator.await_that(lambda: api_server.read(training)["status"].get("run") is not None, "the run again")

    assert api_server.read(training)["status"]["run"]["mlflowRunId"] == run["mlflowRunId"], "no second MLflow run"
    assert mark.count(user_agent="tandem-operator", verb="create", resource="jobs", succeeded=True) == 0
    assert jobs(api_server, team).count("job.batch/crashed-1") == 1
