"""Who may approve, on a real API server: those who were given the right to, under their own name."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from cluster.errors import ClusterError
from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.crds import ROOT

FOLDER = ROOT / "manifests/components/approval"
APPROVED, REJECTED, BY = (f"tandem.dev/{name}" for name in ("approved", "rejected", "decided-by"))

Annotate = Callable[..., str]


@pytest.fixture(scope="module")
def place(api_server: ApiServer) -> Iterator[str]:
    """A namespace with one of each kind, in which anna may approve and bert may change everything but not approve."""
    kubectl = api_server.plane.kubectl
    for name in ("policy.yaml", "role.yaml"):
        kubectl("apply", "--server-side", "-f", str(FOLDER / name))
    namespace = api_server.new_namespace("approvals")
    kubectl("create", "rolebinding", "approvers", "-n", namespace, "--clusterrole=tandem-approver", "--user=anna")
    verbs = "--verb=get,list,watch,create,update,patch,delete"
    kubectl(
        "create",
        "role",
        "authors",
        "-n",
        namespace,
        verbs,
        "--resource=trainingjobs.tandem.dev,appdeployments.tandem.dev",
    )
    kubectl("create", "rolebinding", "authors", "-n", namespace, "--role=authors", "--user=bert")
    api_server.create(resource("TrainingJob", namespace, "iris"))
    api_server.create(resource("AppDeployment", namespace, "shop"))
    _wait_until_it_is(api_server, namespace, enforced=True)
    yield namespace
    kubectl("delete", "-f", str(FOLDER / "policy.yaml"))
    # Others decide on this API server, too.
    _wait_until_it_is(api_server, namespace, enforced=False)


@pytest.fixture
def annotate(api_server: ApiServer, place: str) -> Annotate:
    def annotate(user: str, *given: str, what: str = "tj/iris") -> str:
        return _annotate(api_server, place, user, *given, what=what)

    return annotate


def _annotate(server: ApiServer, namespace: str, user: str, *given: str, what: str = "tj/iris") -> str:
    arguments = ["annotate", what, "-n", namespace, "--overwrite", f"--as={user}", *given]
    try:
        return server.plane.kubectl(*arguments)
    except ClusterError as refused:
        return str(refused)


def _wait_until_it_is(server: ApiServer, namespace: str, *, enforced: bool) -> None:
    """The API server takes a new policy up within seconds, and lets go of one as late."""
    deadline = time.monotonic() + 60
    probe = ("bert", f"{APPROVED}=probe", "--dry-run=server")
    while ("may not decide" in _annotate(server, namespace, *probe)) != enforced:
        assert time.monotonic() < deadline, f"the policy is {'not' if enforced else 'still'} enforced"
        time.sleep(0.5)


def test_who_may_approve_approves_under_their_own_name(annotate: Annotate) -> None:
    assert "annotated" in annotate("anna", f"{APPROVED}=run-1", f"{BY}=anna")


@pytest.mark.parametrize("name", [APPROVED, REJECTED, BY])
def test_who_may_only_change_it_does_not_decide(annotate: Annotate, name: str) -> None:
    told = annotate("bert", f"{name}=run-2")
    assert "bert may not decide on trainingjobs" in told
    assert "tandem-approver" in told


@pytest.mark.parametrize("by", ["bert", ""])
def test_nobody_decides_in_another_name(annotate: Annotate, by: str) -> None:
    told = annotate("anna", f"{REJECTED}=run-3", f"{BY}={by}")
    assert "annotate tandem.dev/decided-by=anna as well" in told


def test_who_may_not_approve_may_change_everything_else(annotate: Annotate) -> None:
    assert "annotated" in annotate("bert", "tandem.dev/requestedAt=1", "note=hello")


def test_a_decision_that_stands_is_in_nobody_s_way(annotate: Annotate) -> None:
    annotate("anna", f"{APPROVED}=run-4", f"{BY}=anna")
    assert "annotated" in annotate("bert", "note=still-here")


def test_who_may_approve_may_take_it_back(annotate: Annotate) -> None:
    annotate("anna", f"{APPROVED}=run-5", f"{BY}=anna")
    assert "may not decide" in annotate("bert", f"{APPROVED}-", f"{REJECTED}-", f"{BY}-")
    assert "annotated" in annotate("anna", f"{APPROVED}-", f"{REJECTED}-", f"{BY}-")


@pytest.mark.parametrize("word", ["approved", "promote", "abort", "pause"])
def test_a_rollout_is_decided_on_by_the_same_people(annotate: Annotate, word: str) -> None:
    said = f"tandem.dev/{word}=5"
    assert "bert may not decide on appdeployments" in annotate("bert", said, f"{BY}=bert", what="appd/shop")
    assert "annotate tandem.dev/decided-by=anna as well" in annotate("anna", said, f"{BY}=bert", what="appd/shop")
    assert "annotated" in annotate("anna", said, f"{BY}=anna", what="appd/shop")


def test_another_try_takes_no_right_and_takes_the_words_of_the_one_before_away(annotate: Annotate) -> None:
    words = [f"tandem.dev/{word}" for word in ("abort", "promote", "approved")]
    annotate("anna", *(f"{word}=5" for word in words), f"{BY}=anna", what="appd/shop")
    taken = [f"{word}-" for word in words]

    assert "may not decide" in annotate("bert", *taken, what="appd/shop")
    assert "may not decide" in annotate("bert", *taken, "tandem.dev/requestedAt=1", f"{BY}=bert", what="appd/shop")
    assert "annotated" in annotate("bert", *taken, "tandem.dev/requestedAt=1", what="appd/shop")


def test_nobody_creates_what_is_approved_already(api_server: ApiServer, place: str) -> None:
    manifest = resource("TrainingJob", place, "other")
    manifest["metadata"]["annotations"] = {APPROVED: "run-6", BY: "bert"}
    with pytest.raises(ClusterError, match="may not decide"):
        api_server.plane.kubectl("create", "--as=bert", "-f", "-", stdin=json.dumps(manifest))
