"""A cluster and a registry small enough to be values: they carry out what a plan says, and show what a plan may see.

An apply of a few fields keeps the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import timedelta

import msgspec

from tandem.api import names
from tandem.api.appdeployment import AppDeployment
from tandem.api.appdeployment_status import AppDeploymentStatus, RevisionRecord
from tandem.api.children import (
    ConfigMap,
    Deployment,
    HorizontalPodAutoscaler,
    HTTPRoute,
    Ingress,
    Job,
    NetworkPolicy,
    Pod,
    PodDisruptionBudget,
    ReplicaSet,
    Service,
)
from tandem.api.configuration import digest_of_data
from tandem.api.facts import (
    ConfigMapContent,
    ConfigMapNamed,
    Facts,
    ModelNamed,
    ModelVersion,
    Query,
    RegisteredModel,
    Unavailable,
    VersionNumbered,
)
from tandem.api.meta import Condition, Json, condition_of
from tandem.api.plan import Action, Apply, CopyConfigMap, Create, Delete, Emit, MoveAlias, Observed, Plan, Refusal
from tandem.apps.plan import AppChildren, AppSettings, plan
from tests.unit.apps.deployments import Deployments

SETTINGS = AppSettings(runtime_image="tandem-runtime:1", mlflow_uri="http://mlflow.mlflow:5000")


class Crash(Exception):
    """The operator died between two actions."""


@dataclass
class World(Deployments):
    spec: Json
    _: KW_ONLY
    annotations: dict[str, str] = field(default_factory=dict)
    generation: int = 1
    status: Json = field(default_factory=lambda: {"observedGeneration": -1})
    aliases: dict[str, str] | None = None  # of the model iris; None: no such model
    versions: dict[str, str] = field(default_factory=dict)  # version → status
    run_ids: dict[str, str] = field(default_factory=dict)  # of a version, where it is not the usual one
    outage: Unavailable | None = None
    answering: bool = True
    refusals: dict[str, Refusal] = field(default_factory=dict)
    services: dict[str, Json] = field(default_factory=dict)
    config_maps: dict[str, dict[str, str]] = field(default_factory=dict)  # what people wrote: name → data
    readable: Unavailable | None = None  # why ConfigMaps cannot be read
    budgets: dict[str, Json] = field(default_factory=dict)
    network_policies: dict[str, Json] = field(default_factory=dict)
    jobs: dict[str, Json] = field(default_factory=dict)  # judgements
    job_pods: dict[str, list[Json]] = field(default_factory=dict)  # of each Job, by its name
    autoscalers: dict[str, Json] = field(default_factory=dict)
    routes: dict[str, Json] = field(default_factory=dict)
    ingresses: dict[str, Json] = field(default_factory=dict)
    gateway_api: bool = False
    events: list[Emit] = field(default_factory=list)
    done: list[Action] = field(default_factory=list)
    status_writes: int = 0
    name: str = "shop"
    _uids: int = 0

    # --- what people and the registry do ---------------------------------------------------------------------------

    def change(self, **spec: object) -> None:
        self.spec = {key: value for key, value in {**self.spec, **spec}.items() if value is not None}
        self.generation += 1

    def lose_status(self) -> None:
        self.status = {"observedGeneration": -1}

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # --- what a plan sees --------------------------------------------------------------------------------------------

    @property
    def app(self) -> AppDeployment:
        meta = {
            "name": self.name,
            "namespace": "team",
            "uid": "app-uid",
            "generation": self.generation,
            "annotations": self.annotations,
        }
        return msgspec.convert({"metadata": meta, "spec": self.spec, "status": self.status}, AppDeployment)

    @property
    def children(self) -> AppChildren:
        return AppChildren(
            deployments=tuple(msgspec.convert(d, Deployment) for d in self.deployments.values()),
            replica_sets=tuple(msgspec.convert(self.replica_set_of(d), ReplicaSet) for d in self.deployments.values()),
            pods=tuple(
                msgspec.convert(pod, Pod)
                for pods in (*map(self.pods_of, self.deployments.values()), *self.job_pods.values())
                for pod in pods
            ),
            services=tuple(msgspec.convert(s, Service) for s in self.services.values()),
            config_maps=tuple(msgspec.convert(c, ConfigMap) for c in self.copies.values()),
            budgets=tuple(msgspec.convert(b, PodDisruptionBudget) for b in self.budgets.values()),
            network_policies=tuple(msgspec.convert(n, NetworkPolicy) for n in self.network_policies.values()),
            jobs=tuple(msgspec.convert(j, Job) for j in self.jobs.values()),
            routes=tuple(msgspec.convert(r, HTTPRoute) for r in self.routes.values()),
            ingresses=tuple(msgspec.convert(i, Ingress) for i in self.ingresses.values()),
            autoscalers=tuple(msgspec.convert(a, HorizontalPodAutoscaler) for a in self.autoscalers.values()),
        )

    @property
    def facts(self) -> Facts:
        if not self.answering:
            return Facts()
        registered = RegisteredModel("iris", exists=self.aliases is not None, aliases=dict(self.aliases or {}))
        answers: dict[Query[object], object] = {ModelNamed("iris"): self.outage or registered}
        for number in range(1, 10):
            version = str(number)
            status = self.versions.get(version)
            run_id = self.run_ids.get(version, f"run{version}")
            found = ModelVersion("iris", version, run_id, "", status) if status else None
            answers[VersionNumbered("iris", version)] = self.outage or found
        for source in (*self.spec.get("envFrom", ()), *self.spec.get("configFrom", ())):
            if "configMapRef" in source:
                name = source["configMapRef"]["name"]
                data = self.config_maps.get(name)
                content = ConfigMapContent(digest_of_data(data, {})) if data is not None else None
                answers[ConfigMapNamed("team", name)] = self.readable or content
        return Facts(answers)

    def plan(self) -> Plan:
        settings = replace(SETTINGS, gateway_api=self.gateway_api)
        return plan(settings, Observed(self.app, self.children, self.facts, self.refusals), self.now)

    # --- what the engine does ----------------------------------------------------------------------------------------

    def reconcile(self, crash_after: int | None = None) -> Plan:
        """One pass; ``crash_after`` actions (0: before the first) the operator dies, and the status is not written."""
        made = self.plan()
        for number, action in enumerate(made.actions):
            if number == crash_after:
                raise Crash
            if isinstance(action, CopyConfigMap) and not self.copy(action):
                return made  # a stale view: there is a new plan
            self.carry_out(action)
        if crash_after is not None and crash_after >= len(made.actions):
            raise Crash
        if made.status is not None and made.status != self.status:
            self.status = json_again(made.status)
            self.status_writes += 1
        self.events.extend(made.events)
        return made

    def converge(self, patience: float = 7200) -> World:
        """Plan and carry out until nothing is left to do, letting time pass as the plans ask for."""
        end = self.now + timedelta(seconds=patience)
        while self.now < end:
            before = self._picture()
            made = self.reconcile()
            self.look()
            if before == self._picture() and not made.actions:
                waiting = [made.requeue_after] if made.requeue_after else []
                waiting += [due - self.now for due in self.deadlines()]
                if not waiting:
                    return self
                self.now += max(min(waiting), timedelta(seconds=1))
                self.look()
        raise AssertionError("the plan never comes to rest")

    def carry_out(self, action: Action) -> None:
        self.done.append(action)
        match action:
            case Create(manifest):
                self._create(manifest)
            case Apply(manifest):
                self._apply(manifest)
            case CopyConfigMap():
                pass
            case Delete(kind=kind, name=name, uid=uid):
                shelf = self._shelf(kind)
                if name in shelf and shelf[name]["metadata"]["uid"] == uid:
                    del shelf[name]
            case MoveAlias(alias=alias, version=version, expected=expected):
                assert self.aliases is not None
                assert self.aliases.get(alias) in {expected, version}, "somebody else moved it"
                self.aliases[alias] = version
            case other:
                raise AssertionError(f"not an action of an AppDeployment: {other}")

    def _create(self, manifest: Json) -> None:
        shelf = self._shelf(manifest["kind"])
        name = manifest["metadata"]["name"]
        if name in shelf:
            return  # 409, with our uid: done
        self._uids += 1
        made = json_again(manifest)
        made["metadata"] |= {"uid": f"uid-{self._uids}", "generation": 1}
        if made["kind"] == "Job":
            made["metadata"]["creationTimestamp"] = self.now.isoformat()
        made["applied"] = []
        if made["kind"] == "Deployment":
            made["written"] = made["spec"]["template"]["spec"]["containers"][0]["image"]
        shelf[name] = made

    def copy(self, action: CopyConfigMap) -> bool:
        data = self.config_maps.get(action.source)
        if data is None or digest_of_data(data, {}) != action.digest:
            return False
        self._create({**action.manifest, "data": dict(data)})
        return True

    def _apply(self, manifest: Json) -> None:
        shelf = self._shelf(manifest["kind"])
        existing = shelf.get(manifest["metadata"]["name"])
        assert existing is not None, "an apply of a few fields cannot create a Deployment: the API server refuses it"
        notes = existing["metadata"]["annotations"]
        for key in existing["applied"]:
            if key not in manifest["metadata"]["annotations"]:
                notes.pop(key, None)
        notes |= manifest["metadata"]["annotations"]
        existing["applied"] = list(manifest["metadata"]["annotations"])
        before = json_again(existing["spec"])
        if existing["kind"] != "Deployment":  # all of it is ours: a field that is not applied any more is removed
            existing["spec"].clear()
        template = manifest["spec"].get("template")
        existing["spec"] |= {key: json_again(of) for key, of in manifest["spec"].items() if key != "template"}
        if template is not None:  # containers are merged by their names
            existing["spec"]["template"]["spec"]["containers"][0] |= template["spec"]["containers"][0]
        if existing["spec"] != before:
            existing["metadata"]["generation"] += 1

    def _shelf(self, kind: str) -> dict[str, Json]:
        return self._objects()[kind]

    def _picture(self) -> bytes:
        """All that there is. In bytes: copies of it, pass by pass, took half of these tests' time."""
        return msgspec.json.encode((self._objects(), self.status), order="sorted")

    def _objects(self) -> dict[str, dict[str, Json]]:
        return {
            "Deployment": self.deployments,
            "Service": self.services,
            "ConfigMap": self.copies,
            "PodDisruptionBudget": self.budgets,
            "NetworkPolicy": self.network_policies,
            "Job": self.jobs,
            "HorizontalPodAutoscaler": self.autoscalers,
            "HTTPRoute": self.routes,
            "Ingress": self.ingresses,
        }

    # --- what a test asks --------------------------------------------------------------------------------------------

    @property
    def told(self) -> AppDeploymentStatus:
        return self.app.status

    def condition(self, type_: str) -> Condition:
        found = condition_of(self.told.conditions, type_)
        assert found is not None, f"no condition {type_}"
        return found

    def conditions(self) -> Mapping[str, str]:
        return {condition.type: condition.status for condition in self.told.conditions}

    def image(self, number: int) -> str:
        """What the pods of a revision are made from."""
        return str(self.pod_spec(number)["containers"][0]["image"])

    @property
    def serving(self) -> int | None:
        """The stable revision, also while a candidate shares the traffic."""
        service = self.services.get(self.name)
        if service is None:
            return None
        if self.shared:
            return int(json.loads(service["metadata"]["annotations"]["tandem.dev/traffic"])["stable"])
        return int(service["spec"]["selector"][names.REVISION_LABEL])

    @property
    def shared(self) -> bool:
        """Whether the Service selects the pods of every revision."""
        service = self.services.get(self.name)
        return service is not None and names.REVISION_LABEL not in service["spec"]["selector"]

    @property
    def weights(self) -> dict[str, int]:
        """Of the last rule of the HTTPRoute; {}: there is none."""
        if self.name not in self.routes:
            return {}
        rules = self.routes[self.name]["spec"]["rules"]
        return {ref["name"]: ref.get("weight", 1) for ref in rules[-1]["backendRefs"]}

    def note(self, number: int) -> Json:
        """What a candidate remembers of its rollout; {}: nothing."""
        notes = self.deployments[f"{self.name}-{number}"]["metadata"]["annotations"]
        found: Json = json.loads(notes.get("tandem.dev/rollout", "{}"))
        return found

    def say(self, **words: str | None) -> None:
        """What people say by annotation; None takes it back."""
        for word, of in words.items():
            self.annotations.pop(f"{names.GROUP}/{word}", None)
            if of is not None:
                self.annotations[f"{names.GROUP}/{word}"] = of

    @property
    def scale(self) -> dict[int, int]:
        """Replicas of each revision."""
        return {
            int(d["metadata"]["labels"][names.REVISION_LABEL]): d["spec"]["replicas"] for d in self.deployments.values()
        }

    def record(self, number: int) -> RevisionRecord:
        return next(record for record in self.told.revisions if record.revision == number)

    def reasons(self) -> list[str]:
        return [event.reason for event in self.events]

    def pod_spec(self, number: int) -> Json:
        spec: Json = self.deployments[f"{self.name}-{number}"]["spec"]["template"]["spec"]
        return spec


def app(image: str = "shop:1", /, **spec: object) -> World:
    return World({"image": image, **spec})


def model(
    version: str = "1", *, promote_to: str | None = None, alias: str | None = "challenger", **spec: object
) -> World:
    """A model server that follows an alias; the registry has the versions 1, 2 and 3."""
    named: Json = {"name": "iris"} | ({"alias": alias} if alias else {"version": version})
    world = World({"model": named | ({"promoteTo": promote_to} if promote_to else {}), **spec})
    world.aliases = {alias: version} if alias else {}
    world.versions = {"1": "READY", "2": "READY", "3": "READY"}
    return world


def json_again(value: Json) -> Json:
    """As the API server gives it back."""
    again: Json = msgspec.json.decode(msgspec.json.encode(value))
    return again
