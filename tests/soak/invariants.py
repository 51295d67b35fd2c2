"""What must hold at every moment, looked at through watches of its own, and in MLflow's database at the end."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from pathlib import Path
from typing import Final

from tandem.api import names
from tests.soak.client import Client, Json

_OURS: Final = f"/apis/{names.API_VERSION}"
WATCHED: Final = ("/apis/batch/v1/jobs", f"{_OURS}/trainingjobs", f"{_OURS}/appdeployments")


class Invariants:
    """``broken``: what did not hold. ``seen``: how many events were looked at, by kind."""

    def __init__(self, client: Client) -> None:
        self.broken: list[str] = []
        self.seen: Counter[str] = Counter()
        self.jobs_made = 0
        self.present: dict[str, Json] = {}  # uid → our resource, as it was last seen
        self._client = client
        self._made: defaultdict[tuple[str, str], set[str]] = defaultdict(set)  # (owner, name) → uids of Jobs
        self._live: defaultdict[str, set[str]] = defaultdict(set)  # owner → uids of Jobs that have not ended
        self._runs: dict[str, int] = {}  # uid of a TrainingJob → its latest run

    async def watch(self, path: str) -> None:
        """For ever; what was missed while a version expired is made up for by listing."""
        while True:
            listed = await self._client.ask("GET", path)
            version: str | None = listed["metadata"]["resourceVersion"]
            kind = listed["kind"].removesuffix("List")
            for item in listed["items"]:
                self.look("MODIFIED", {"kind": kind, **item})
            self._forget_the_gone(kind, {item["metadata"]["uid"] for item in listed["items"]})
            while version is not None:
                async for event in self._client.watch(path, version):
                    if event["type"] == "ERROR":
                        version = None
                        break
                    version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        self.look(event["type"], event["object"])

    def look(self, type_: str, body: Json) -> None:
        self.seen[body["kind"]] += 1
        if body["kind"] == "Job":
            self._look_at_job(type_, body)
        else:
            self._look_at_resource(type_, body)

    def _look_at_job(self, type_: str, job: Json) -> None:
        meta = job["metadata"]
        owner = next((o["uid"] for o in meta.get("ownerReferences", ()) if o.get("controller")), "")
        if not owner:
            return
        made, live = self._made[owner, meta["name"]], self._live[owner]
        if meta["uid"] not in made:
            made.add(meta["uid"])
            self.jobs_made += 1
            if len(made) > 1:
                self.broken.append(
                    f"Job {meta['namespace']}/{meta['name']} was made {len(made)} times for one resource"
                )
        conditions = {c["type"] for c in job.get("status", {}).get("conditions", ()) if c["status"] == "True"}
        if type_ == "DELETED" or meta.get("deletionTimestamp") or conditions & {"Complete", "Failed"}:
            live.discard(meta["uid"])
            return
        live.add(meta["uid"])
        if len(live) > 1:
            self.broken.append(f"{len(live)} live Jobs of one resource, {meta['namespace']}/{meta['name']} among them")

    def _look_at_resource(self, type_: str, body: Json) -> None:
        meta, status = body["metadata"], body.get("status", {})
        if type_ == "DELETED":
            self.present.pop(meta["uid"], None)
            return
        self.present[meta["uid"]] = body
        called = f"{body['kind']} {meta['namespace']}/{meta['name']}"
        self.broken += [f"{called}: {what}" for what in complaints(body)]
        number = status.get("run", {}).get("number", 0)
        if number < self._runs.get(meta["uid"], 0):
            self.broken.append(f"{called}: from run {self._runs[meta['uid']]} back to run {number}")
        self._runs[meta["uid"]] = number

    def _forget_the_gone(self, kind: str, there: set[str]) -> None:
        if kind == "Job":
            for live in self._live.values():
                live.intersection_update(there)
        else:
            self.present = {uid: b for uid, b in self.present.items() if b["kind"] != kind or uid in there}


def complaints(body: Json) -> list[str]:
    """kstatus' rules for one status."""
    meta, status = body["metadata"], body.get("status", {})
    conditions = {condition["type"]: condition["status"] for condition in status.get("conditions", ())}
    told = []
    if conditions and "Ready" not in conditions:
        told.append("it does not say whether it is ready")
    if conditions.get("Reconciling") == conditions.get("Stalled") == "True":
        told.append("reconciling and stalled at once")
    if conditions.get("Ready") == "True" and "True" in {conditions.get("Reconciling"), conditions.get("Stalled")}:
        told.append("ready, and reconciling or stalled as well")
    if status.get("observedGeneration", -1) > meta["generation"]:
        told.append("it speaks of a generation that is not there yet")
    return told


def unsettled(body: Json) -> str:
    """What a resource still waits for; nothing, if it has come to an end that a person can read."""
    meta, status = body["metadata"], body.get("status", {})
    conditions = {condition["type"]: condition for condition in status.get("conditions", ())}
    if status.get("observedGeneration") != meta["generation"]:
        return f"generation {meta['generation']} is not observed"
    if conditions.get("Reconciling", {}).get("status") == "True":
        return str(conditions["Reconciling"].get("message"))
    return ""


def broken_in_mlflow(database: Path) -> list[str]:
    """One MLflow run for each run of each resource, one version for each MLflow run."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        runs = connection.execute(
            "SELECT u.value, n.value, COUNT(*) FROM tags u JOIN tags n ON u.run_uuid = n.run_uuid"
            " WHERE u.key = ? AND n.key = ? GROUP BY u.value, n.value HAVING COUNT(*) > 1",
            (names.TAG_RESOURCE_UID, names.TAG_RUN),
        ).fetchall()
        versions = connection.execute(
            "SELECT name, run_id, COUNT(*) FROM model_versions GROUP BY name, run_id HAVING COUNT(*) > 1"
        ).fetchall()
    return [f"{n} MLflow runs for run {number} of {uid}" for uid, number, n in runs] + [
        f"{n} versions of model {name} from MLflow run {run}" for name, run, n in versions
    ]


def made_in_mlflow(database: Path) -> tuple[int, int]:
    """How many runs and versions there are."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        (runs,) = connection.execute("SELECT COUNT(*) FROM runs").fetchone()
        (versions,) = connection.execute("SELECT COUNT(*) FROM model_versions").fetchone()
    return runs, versions
