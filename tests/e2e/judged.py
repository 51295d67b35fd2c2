"""Judgements on real pods: canaries, first deployments, watch windows, and faults that are nobody's but the cluster's.

Each scenario is an app of its own in one namespace, on a thread of its own, and a diary keeps every version of all.
Nearly all of it is waiting for pods, so it goes on beside the other tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import yaml

from cluster.paths import REPOSITORY
from demo.kubectl import Json, Kubectl, Predicate, condition, is_true
from demo.setup import Site
from demo.stage import namespace_object
from tests.e2e.diary import WITHIN, Diary, diary_of, says
from tests.e2e.evicting import evict
from tests.e2e.scripts import resource

IMAGE: Final = "tandem/runtime:dev"
CANARY: Final = "canary"
FIRST: Final = "first"
WATCHED: Final = "watched"
EVICTED: Final = "evicted"
HELD: Final = "held"
PLAIN: Final = "plain"
LAPSED: Final = "lapsed"

# Counts what it answers, as frameworks do; from as many requests as FAULTY_AFTER says on, every other answer is a 500.
_COUNTS: Final = """
import http.server, os
from prometheus_client import Counter, generate_latest
asked = Counter("http_requests", "Requests.", ["code", "path"])
good, turn = float(os.environ.get("FAULTY_AFTER", "inf")), [0]
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body, code = b"hello", 200
        if self.path == "/metrics":
            body = generate_latest()
        else:
            turn[0] += 1
            code = 500 if turn[0] > good and turn[0] % 2 else 200
            asked.labels(str(code), self.path).inc()
        self.send_response(code); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""
# Counts nothing at all; ends, or is not ready any more, when it is told to.
_PLAIN: Final = """
import http.server, os
health = [200]
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash": os._exit(3)
        if self.path == "/sicken": health[0] = 503
        self.send_response(health[0] if self.path == "/health" else 200); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), Answer).serve_forever()
"""
# Users: they ask all the time, and tell of each request that nobody answered, once somebody has answered one.
_ASK_ALL_THE_TIME: Final = """
import sys, time, urllib.error, urllib.request
answered = set()
while True:
    for name in sys.argv[1:]:
        try:
            urllib.request.urlopen(f"http://{name}/", timeout=10).read()
            answered.add(name)
        except urllib.error.HTTPError:
            pass
        except OSError as error:
            if name in answered: print(name, error, flush=True)
    time.sleep(0.1)
"""
# Somebody has to ask a revision that has no traffic yet; what it is answered, its pods count.
_ASK_IT: Final = """
import os, time, urllib.error, urllib.request
for _ in range(125):
    try:
        urllib.request.urlopen(os.environ["URL"] + "/", timeout=5).read()
    except urllib.error.HTTPError:
        pass
    time.sleep(0.2)
"""
# The worst that a container can do when its pod is drained: say that the app is bad.
_FAILS_WHEN_STOPPED: Final = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
print("at work", flush=True)
time.sleep(15)
"""
# On a busy machine nobody may have asked anything for some seconds; one failure ends it at once all the same.
ERRORS: Final[Json] = {
    "name": "errors",
    "pods": {"metric": "requestErrorRate", "minRequests": 2},
    "max": "0.01",
    "interval": "4s",
    "count": 5,
    "inconclusiveLimit": 4,
}
ASKED: Final[Json] = {
    "name": "asked",
    "at": ["Promotion"],
    "job": {"image": IMAGE, "command": ["python", "-c", _ASK_IT]},
}


@dataclass(frozen=True)
class Judged:
    """``ends``: of each app, what it was in the end, or where a person has to say how it goes on.

    ``diary`` has every version of all apps, their Services and pods.
    """

    kubectl: Kubectl
    diary: Diary
    ends: dict[str, Future[Json]]

    def end(self, name: str) -> Json:
        return self.ends[name].result()

    def statuses(self, name: str) -> list[Json]:
        """Each status that it ever had; oldest first."""
        return [app["status"] for app in self.diary.versions(_app(name)) if app.get("status", {}).get("conditions")]

    def unanswered(self) -> list[str]:
        """What users were not answered so far."""
        return self.kubectl.run("logs", "pod/users").splitlines()


@contextmanager
def judgements(site: Site) -> Iterator[Judged]:
    """All of it begun; what came of it comes later."""
    name = f"judged-{os.getpid()}"
    site.kubectl.apply(namespace_object(name))
    kubectl = site.kubectl.within(name)
    scenarios = {
        CANARY: _canary,
        FIRST: _first,
        WATCHED: _watched,
        EVICTED: _evicted,
        HELD: _held,
        PLAIN: _plain,
        LAPSED: _lapsed,
    }
    with diary_of(kubectl, "appdeployments", "services", "pods") as diary, ThreadPoolExecutor(len(scenarios)) as pool:
        kubectl.apply(_users(CANARY, WATCHED))
        yield Judged(kubectl, diary, {app: pool.submit(see, kubectl, diary) for app, see in scenarios.items()})
    site.kubectl.run("delete", "namespace", name, "--wait=false")


# --- Scenarios -------------------------------------------------------------------------------------------------------


def _canary(kubectl: Kubectl, diary: Diary) -> Json:
    """A first revision, a bad one, a good one: with half of the traffic each, before they may have all of it."""
    rollout = {"strategy": "Canary", "steps": [{"trafficPercent": 50}], "analysis": [ASKED, ERRORS]}
    kubectl.apply(_counting(CANARY, rollout))
    diary.until(_app(CANARY), serves(1), "the first revision serves")
    kubectl.apply(_counting(CANARY, rollout, FAULTY_AFTER="0"))
    diary.until(_app(CANARY), _is_over(2), "the bad one is set aside")
    kubectl.apply(_counting(CANARY, rollout, BETTER="1"))
    return diary.until(_app(CANARY), serves(3), "the good one serves")


def _first(kubectl: Kubectl, diary: Diary) -> Json:
    """Nothing serves yet, and what comes is bad."""
    kubectl.apply(_counting(FIRST, {"analysis": [ASKED, ERRORS]}, FAULTY_AFTER="0"))
    return diary.until(_app(FIRST), _is_over(1), "the first revision is set aside")


def _watched(kubectl: Kubectl, diary: Diary) -> Json:
    """It is well when it takes the traffic, and for a while; then users get errors."""
    rollout = {"watchSeconds": 600, "analysis": [{**ERRORS, "at": ["Watch"]}]}
    kubectl.apply(_counting(WATCHED, rollout))
    diary.until(_app(WATCHED), serves(1), "the first revision serves")
    kubectl.apply(_counting(WATCHED, rollout, FAULTY_AFTER="100"))
    diary.until(_app(WATCHED), _has_traffic(2), "the second one has the traffic")
    return diary.until(_app(WATCHED), _is_over(2), "it has lost it again")


def _evicted(kubectl: Kubectl, diary: Diary) -> Json:
    """The pod that judges is drained while it judges."""
    smoke: Json = {"name": "smoke", "job": {"image": IMAGE, "command": ["python", "-c", _FAILS_WHEN_STOPPED]}}
    kubectl.apply(_counting(EVICTED, {"analysis": [smoke]}))
    pod = diary.until_any("pods", lambda pod: judges(pod, EVICTED) and _runs(pod), "it is judged")["metadata"]["name"]
    with kubectl.stream("logs", "--follow", pod, "--container=job-smoke", within=WITHIN) as lines:
        assert next(lines, "").startswith("at work")
    evict(kubectl, pod)
    return diary.until(_app(EVICTED), serves(1), "it serves")


def _held(kubectl: Kubectl, diary: Diary) -> Json:
    """A Prometheus that nobody can reach, pods that nobody asks, and a dry run that fails."""
    away = {"address": "http://prometheus.nowhere.svc.cluster.local:9090", "query": "up"}
    quick = {"interval": "1s", "max": "0.01", "count": 1, "inconclusiveLimit": 0}
    rollout = {
        "analysis": [
            {**quick, "name": "away", "prometheus": away, "consecutiveErrorLimit": 1},
            {**ERRORS, **quick, "name": "silent"},
            {**ERRORS, **quick, "name": "passed", "onNoData": "Pass"},
            {"name": "dry", "dryRun": True, "job": {"image": IMAGE, "command": ["python", "-c", "exit(1)"]}},
        ]
    }
    kubectl.apply(_counting(HELD, rollout))
    return diary.until(_app(HELD), says("RolledOut", "Unknown", "AnalysisInconclusive"), "nobody can judge it")


def _plain(kubectl: Kubectl, diary: Diary) -> Json:
    """A canary that crashes at its step, and one that is not ready any more: the kubelet alone tells of them."""
    step = {"trafficPercent": 50, "pause": {"durationSeconds": 3600}}
    spec: Json = {"rollout": {"strategy": "Canary", "steps": [step]}, "progressDeadlineSeconds": 60}
    kubectl.apply(_uncounted(PLAIN, spec, "1"))
    diary.until(_app(PLAIN), serves(1), "the first revision serves")
    for revision, what in ((2, "crash"), (3, "sicken")):
        kubectl.apply(_uncounted(PLAIN, spec, str(revision)))
        diary.until(_app(PLAIN), _pauses(revision), "it is at its step")
        _tell(kubectl, f"{PLAIN}-candidate", what)
        # By now it is known to have run well: what it does from here on counts, and not how long it took to start.
        kubectl.merge(f"appdeployment/{PLAIN}", {"spec": {"progressDeadlineSeconds": 5}})
        diary.until(_app(PLAIN), _is_over(revision), "it is set aside")
    return diary.versions(_app(PLAIN))[-1]


def _lapsed(kubectl: Kubectl, diary: Diary) -> Json:
    """After the switch its one pod is not ready any more; nobody has asked for a watch."""
    spec: Json = {"scaleDownDelaySeconds": 600}
    kubectl.apply(_uncounted(LAPSED, spec, "1"))
    diary.until(_app(LAPSED), serves(1), "the first revision serves")
    kubectl.apply(_uncounted(LAPSED, spec, "2"))
    diary.until(_app(LAPSED), serves(2), "the second one serves")
    _tell(kubectl, LAPSED, "sicken")
    return diary.until(_app(LAPSED), _is_over(2), "it has lost the traffic again")


# --- Its parts -------------------------------------------------------------------------------------------------------


def _counting(name: str, rollout: Json, **env: str) -> Json:
    told = [{"name": variable, "value": value} for variable, value in env.items()]
    spec = {"image": IMAGE, "command": ["python", "-c", _COUNTS], "env": told, "rollout": rollout}
    return resource("AppDeployment", name, {**_QUICK, **spec})


def _uncounted(name: str, others: Json, version: str) -> Json:
    told = [{"name": "VERSION", "value": version}]
    spec = {"image": IMAGE, "command": ["python", "-c", _PLAIN], "env": told, "healthPath": "/health"}
    return resource("AppDeployment", name, {**_QUICK, **spec, **others})


_QUICK: Final[Json] = {"terminationGracePeriodSeconds": 2, "scaleDownDelaySeconds": 30}


def _users(*apps: str) -> Json:
    """The garden's pod, restricted as it is, with another program."""
    pod: Json = yaml.safe_load((REPOSITORY / "examples/iris/garden.yaml").read_text())
    pod["metadata"] = {"name": "users"}
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    command = ["python", "-c", _ASK_ALL_THE_TIME, *apps]
    container |= {"name": "users", "command": command, "workingDir": "/tmp", "volumeMounts": []}
    spec["volumes"] = []
    return pod


def _tell(kubectl: Kubectl, service: str, what: str) -> None:
    """The pod behind a Service; one that crashes does not answer."""
    ask = f"import urllib.request as r\ntry: r.urlopen('http://{service}/{what}')\nexcept OSError: pass"
    kubectl.exec("pod/users", "python", "-c", ask)


def _app(name: str) -> str:
    return f"appdeployments/{name}"


def judges(pod: Json, app: str) -> bool:
    return bool(pod["metadata"].get("labels", {}).get("tandem.dev/analysis") == app)


def _runs(pod: Json) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Running")


# --- What is waited for ----------------------------------------------------------------------------------------------


def serving(app: Json) -> int | None:
    """The revision that has the traffic, as the status tells it."""
    found: int | None = app.get("status", {}).get("stable", {}).get("revision")
    return found


def _has_traffic(revision: int) -> Predicate:
    return lambda app: serving(app) == revision


def serves(revision: int) -> Predicate:
    return lambda app: serving(app) == revision and is_true(app, "Ready")


def _is_over(revision: int) -> Predicate:
    def predicate(app: Json) -> bool:
        records = app.get("status", {}).get("revisions", ())
        failed = any((one["revision"], one.get("state")) == (revision, "Failed") for one in records)
        return failed and is_true(app, "Stalled")

    return predicate


def _pauses(revision: int) -> Predicate:
    def predicate(app: Json) -> bool:
        candidate = app.get("status", {}).get("candidate", {}).get("revision")
        return candidate == revision and condition(app, "RolledOut").get("reason") == "StepPaused"

    return predicate
