"""What a user of the cluster relies on: pods, names, services, logs, exec, volumes, policies, digests."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from cluster.audit import AuditLog
from cluster.embedded.backend import EmbeddedCluster
from cluster.errors import ClusterError
from tests.cluster.awaiting import until
from tests.cluster.talking import Kubectl, kubectl_of

pytestmark = pytest.mark.cluster

GET = "import urllib.request; print(urllib.request.urlopen('http://{}/', timeout=5).read().decode())"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def a_pod(name: str, image: str, *command: str, **spec: object) -> str:
    container: dict[str, object] = {"name": "main", "image": image, "securityContext": RESTRICTED}
    if command:
        container["command"] = list(command)
    mounts = spec.pop("mounts", None)
    if mounts:
        container["volumeMounts"] = mounts
    body = {"restartPolicy": "Never", "containers": [container], **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body})


@dataclass(frozen=True)
class Site:
    address: str  # of the Service
    pod: str


@pytest.fixture(scope="module")
def site(cluster: EmbeddedCluster, page: str) -> Iterator[Site]:
    """A Deployment of two web servers behind the Service `site`."""
    kubectl = kubectl_of(cluster)
    kubectl("create", "deployment", "site", f"--image={page}", "--replicas=2", "--port=8000")
    kubectl("expose", "deployment", "site", "--port=80", "--target-port=8000")
    kubectl("rollout", "status", "deployment/site", "--timeout=60s")
    address = kubectl("get", "service", "site", "--output=jsonpath={.spec.clusterIP}")
    pod = kubectl("get", "pod", "--selector=app=site", "--output=jsonpath={.items[0].status.podIP}")
    yield Site(address, pod)
    kubectl("delete", "deployment,service", "site", "--wait=false")


def test_given_a_pod_then_it_runs_to_its_end_and_its_log_is_read(kubectl: Kubectl, page: str) -> None:
    kubectl("apply", "--filename=-", stdin=a_pod("greeter", page, "python3", "-c", "print('good day')"))

    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/greeter", "--timeout=60s")

    assert kubectl("logs", "greeter") == "good day\n"


def test_given_a_running_pod_then_a_command_is_executed_in_it(kubectl: Kubectl, site: Site) -> None:
    assert kubectl("exec", "deployment/site", "--", "id", "--user").strip() == "65532"


@pytest.mark.parametrize("name", ["site", "site.default", "site.default.svc.cluster.local"])
def test_given_a_service_then_pods_find_it_by_name_and_it_answers(kubectl: Kubectl, site: Site, name: str) -> None:
    assert "a real page" in kubectl("exec", "deployment/site", "--", "python3", "-c", GET.format(name))


def test_given_a_service_then_a_pod_behind_it_reaches_itself_through_it(kubectl: Kubectl, site: Site) -> None:
    """Ten times: one in two goes to the very pod that asks."""
    script = f"for _ in range(10): exec({GET.format('site')!r})"

    assert kubectl("exec", "deployment/site", "--", "python3", "-c", script).count("a real page") == 10


def test_given_a_service_then_the_machine_reaches_it_and_its_pods(site: Site) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    assert b"a real page" in opener.open(f"http://{site.address}/", timeout=10).read()
    assert b"a real page" in opener.open(f"http://{site.pod}:8000/", timeout=10).read()


def test_given_a_name_outside_the_cluster_then_the_answer_is_no_and_comes_at_once(kubectl: Kubectl, site: Site) -> None:
    script = "import socket\ntry: socket.getaddrinfo('example.org', 80)\nexcept socket.gaierror as e: print(e.errno)"
    begun = time.monotonic()

    answer = kubectl("exec", "deployment/site", "--", "python3", "-c", script)

    assert answer.strip() == "-2"  # no such name, as opposed to -3: try again
    assert time.monotonic() - begun < 5


def test_given_a_tag_then_the_pods_status_says_its_digest_and_a_pod_pinned_to_it_runs(
    kubectl: Kubectl, page: str, site: Site
) -> None:
    output = "--output=jsonpath={.items[0].status.containerStatuses[0].imageID}"
    digest = kubectl("get", "pod", "--selector=app=site", output)
    assert digest.startswith("docker.io/library/tandem-cluster-test@sha256:")

    kubectl("apply", "--filename=-", stdin=a_pod("pinned", digest, "true"))

    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/pinned", "--timeout=60s")


def test_given_a_claim_then_it_is_bound_and_written_by_a_user_without_rights(kubectl: Kubectl, page: str) -> None:
    kubectl("apply", "--filename=-", stdin=_claim("notes", "2Gi"))
    pod = a_pod(
        "writer",
        page,
        *("python3", "-c", "open('/notes/one', 'w').write('x')"),
        mounts=[{"name": "notes", "mountPath": "/notes"}],
        volumes=[{"name": "notes", "persistentVolumeClaim": {"claimName": "notes"}}],
    )
    kubectl("apply", "--filename=-", stdin=pod)

    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/writer", "--timeout=60s")


def test_given_a_claim_that_is_gone_then_the_next_up_makes_its_volume_free_and_empty(
    kubectl: Kubectl, cluster: EmbeddedCluster, page: str
) -> None:
    kubectl("apply", "--filename=-", stdin=_claim("brief", "10Gi"))
    pod = a_pod("user", page, "true", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "brief"}}])
    kubectl("apply", "--filename=-", stdin=pod)
    kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "persistentvolumeclaim/brief", "--timeout=60s")
    volume = kubectl("get", "persistentvolumeclaim", "brief", "--output=jsonpath={.spec.volumeName}")
    (cluster.state / "volumes" / volume / "left").touch()
    kubectl("delete", "pod", "user", "--grace-period=0", "--force")
    kubectl("delete", "persistentvolumeclaim", "brief")
    kubectl("wait", "--for=jsonpath={.status.phase}=Released", f"persistentvolume/{volume}", "--timeout=60s")

    cluster.up()

    kubectl("wait", "--for=jsonpath={.status.phase}=Available", f"persistentvolume/{volume}", "--timeout=30s")
    assert list((cluster.state / "volumes" / volume).iterdir()) == []


def test_given_a_memory_limit_then_a_pod_that_exceeds_it_is_ended_for_it(kubectl: Kubectl, page: str) -> None:
    pod = json.loads(a_pod("greedy", page, "python3", "-c", "b'x' * (200 << 20)"))
    pod["spec"]["containers"][0]["resources"] = {"limits": {"memory": "50Mi"}}

    kubectl("apply", "--filename=-", stdin=json.dumps(pod))

    kubectl("wait", "--for=jsonpath={.status.phase}=Failed", "pod/greedy", "--timeout=60s")
    reason = "--output=jsonpath={.status.containerStatuses[0].state.terminated.reason}"
    assert kubectl("get", "pod", "greedy", reason) == "OOMKilled"


def test_given_a_strict_namespace_then_a_restricted_pod_runs_in_it(kubectl: Kubectl, page: str) -> None:
    kubectl("create", "namespace", "strict")
    kubectl("label", "namespace", "strict", "pod-security.kubernetes.io/enforce=restricted")
    until(lambda: "default" in kubectl("--namespace=strict", "get", "serviceaccounts"), "the account is made")

    kubectl("--namespace=strict", "apply", "--filename=-", stdin=a_pod("modest", page, "true"))

    phase = "--for=jsonpath={.status.phase}=Succeeded"
    kubectl("--namespace=strict", "wait", phase, "pod/modest", "--timeout=60s")


def test_given_the_whole_cluster_then_its_audit_log_counts_like_the_lone_one(
    kubectl: Kubectl, cluster: EmbeddedCluster
) -> None:
    since = AuditLog(cluster.audit_log).mark()

    kubectl("create", "configmap", "counted")

    assert since.count(user="kubernetes-admin", verb="create", resource="configmaps") == 1


def test_when_up_is_said_again_then_nothing_is_started(cluster: EmbeddedCluster) -> None:
    before = cluster.status()

    cluster.up()

    assert cluster.status() == before


def test_when_an_image_is_loaded_again_then_it_is_recognised(cluster: EmbeddedCluster, page: str) -> None:
    written = (cluster.state / "loaded.json").stat().st_mtime_ns

    cluster.load_image(page)

    assert (cluster.state / "loaded.json").stat().st_mtime_ns == written


def test_given_an_image_that_nobody_built_then_it_says_how_to(cluster: EmbeddedCluster) -> None:
    with pytest.raises(ClusterError, match="build it first"):
        cluster.load_image("never-built:1")


def _claim(name: str, size: str) -> str:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
    return json.dumps(claim)
