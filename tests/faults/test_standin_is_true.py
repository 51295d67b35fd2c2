"""The stand-in answers like a real API server: the same questions are put to both, and the answers compared."""

from __future__ import annotations

import ssl
from itertools import count

import aiohttp
import kubernetes.config
import pytest
from kubernetes.client import Configuration

from tests.contract.api_server import ApiServer
from tests.faults.apiserver.server import StandIn
from tests.faults.questions import APPLY, MERGE, Interview, Json, Question, deployment, job, scale, training_job

_numbers = count(1)


async def a_name_is_there_once(i: Interview) -> None:
    await i.note("first", i.ask("POST", i.at("jobs"), job("one")), "kind", "metadata.generation")
    await i.note("second", i.ask("POST", i.at("jobs"), job("one")))
    await i.note("without a name", i.ask("POST", i.at("jobs"), job("")))
    await i.note("not a name", i.ask("POST", i.at("trainingjobs"), training_job("Not_a-name")))
    await i.note("another namespace", i.ask("POST", i.at("jobs"), job("two", namespace="elsewhere")))
    await i.note("no such namespace", i.ask("POST", i.at("jobs", namespace="nowhere"), job("two")))


async def a_custom_resource_is_completed_and_checked(i: Interview) -> None:
    made = training_job("one", unknown=1) | {"status": {"phase": "forged"}}
    await i.note("created", i.ask("POST", i.at("trainingjobs"), made), "spec", "status", "metadata.generation")
    wrong = training_job("two", backoffLimit=-1, steps=[{"name": "train"}])
    await i.note("wrong", i.ask("POST", i.at("trainingjobs"), wrong))
    wrong = training_job("two", suspend="yes")
    await i.note("wrong type", i.ask("POST", i.at("trainingjobs"), wrong))
    await i.note("wrong patch", i.ask("PATCH", i.at("trainingjobs", "one"), {"spec": {"steps": []}}, MERGE))
    wrong_status = {"status": {"observedGeneration": "one"}}
    await i.note("wrong status", i.ask("PATCH", i.at("trainingjobs", "one") + "/status", wrong_status, MERGE))


async def a_status_is_written_apart(i: Interview) -> None:
    one = i.at("trainingjobs", "one")
    made = await i.note("created", i.ask("POST", i.at("trainingjobs"), training_job("one")))
    both = {"spec": {"suspend": True}, "status": {"phase": "Mine"}}
    told = ("spec.suspend", "status.phase", "metadata.generation")
    await i.note("the resource", i.ask("PATCH", one, both, MERGE), *told)
    both = {"metadata": {"labels": {"a": "b"}}, "spec": {"suspend": False}, "status": {"phase": "Mine"}}
    after = await i.note("its status", i.ask("PATCH", one + "/status", both, MERGE), *told, "metadata.labels")
    i.add("versions grow", int(after["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"]))
    again = await i.note("the same again", i.ask("PATCH", one + "/status", both, MERGE), *told)
    i.add("no change, no version", again["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"])
    gone = {"status": {"phase": None, "observedGeneration": None}}
    await i.note("taken away", i.ask("PATCH", one + "/status", gone, MERGE), "status")
    other = {"metadata": {"uid": "11111111-0000-0000-0000-000000000000"}, "status": {"phase": "Theirs"}}
    await i.note("of another uid", i.ask("PATCH", one + "/status", other, MERGE))
    await i.note("the resource of another uid", i.ask("PATCH", one, {"metadata": other["metadata"]}, MERGE))
    own = {"metadata": {"uid": made["metadata"]["uid"]}, "status": {"phase": "Ours"}}
    await i.note("of this uid", i.ask("PATCH", one + "/status", own, MERGE), "status.phase")
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "status": {"phase": "Late"}}
    await i.note("of an old version", i.ask("PATCH", one + "/status", stale, MERGE))
    await i.note("of nobody", i.ask("PATCH", i.at("trainingjobs", "none") + "/status", own, MERGE))
    await i.note("an annotation", i.ask("PATCH", one, {"metadata": {"annotations": {"a": "b"}}}, MERGE), *told)


async def a_late_put_is_refused(i: Interview) -> None:
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "one"}}
    first = await i.note("created", i.ask("POST", i.at("leases"), lease | {"spec": {"holderIdentity": "a"}}))
    second = first | {"spec": {"holderIdentity": "b"}}
    await i.note("in time", i.ask("PUT", i.at("leases", "one"), second), "spec.holderIdentity")
    await i.note("too late", i.ask("PUT", i.at("leases", "one"), first))
    await i.note("of nobody", i.ask("PUT", i.at("leases", "none"), first | {"metadata": {"name": "none"}}))
    body = training_job("none")
    await i.note("of no training job", i.ask("PUT", i.at("trainingjobs", "none"), body))
    other = {"metadata": first["metadata"] | {"uid": "11111111-0000-0000-0000-000000000000"}}
    await i.note("another uid", i.ask("PUT", i.at("leases", "one"), first | other))
    await i.note("another name", i.ask("PUT", i.at("leases", "one"), first | {"metadata": {"name": "two"}}))


async def what_is_fixed_stays(i: Interview) -> None:
    await i.note("a Job", i.ask("POST", i.at("jobs"), job("one", "true")))
    other = {"spec": {"template": job("one", "false")["spec"]["template"]}}
    await i.note("its template", i.ask("PATCH", i.at("jobs", "one"), other, MERGE))


async def an_apply_owns_what_it_says(i: Interview) -> None:
    one = i.at("deployments", "one")
    made = await i.note("created", i.ask("POST", i.at("deployments"), deployment("one", 1)), "metadata.generation")
    await i.note("conflict", i.ask("PATCH", one, scale("one", 3), APPLY, fieldManager="us"))
    told = ("spec.replicas", "metadata.generation", "metadata.annotations.a")
    ours = scale("one", 3, annotations={"a": "b"})
    await i.note("forced", i.ask("PATCH", one, ours, APPLY, fieldManager="us", force="true"), *told)
    again = await i.note("again", i.ask("PATCH", one, ours, APPLY, fieldManager="us", force="true"), *told)
    _, now = await i.ask("GET", one)
    i.add("no change, no version", again["metadata"]["resourceVersion"] == now["metadata"]["resourceVersion"])
    less = scale("one", 3)
    await i.note("less", i.ask("PATCH", one, less, APPLY, fieldManager="us", force="true"), *told)
    agreed = await i.note("the same as another", i.ask("PATCH", one, less, APPLY, fieldManager="them"), *told)
    owners = [e["manager"] for e in agreed["metadata"]["managedFields"] if "f:replicas" in str(e["fieldsV1"])]
    i.add("owners of replicas", sorted(owners))
    user = {"spec": {"replicas": 5}}
    await i.note("a user", i.ask("PATCH", one, user, MERGE), *told)
    await i.note("us against the user", i.ask("PATCH", one, less, APPLY, fieldManager="us"))
    uid = {"uid": "11111111-0000-0000-0000-000000000000"}
    wrong = i.ask("PATCH", one, scale("one", 3, **uid), APPLY, fieldManager="us", force="true")
    await i.note("another uid", wrong)
    right = scale("one", 3, uid=made["metadata"]["uid"])
    await i.note("this uid", i.ask("PATCH", one, right, APPLY, fieldManager="us", force="true"), *told)
    older = scale("one", 4, resourceVersion=made["metadata"]["resourceVersion"])
    await i.note("an older version", i.ask("PATCH", one, older, APPLY, fieldManager="us", force="true"))
    _, now = await i.ask("GET", one)
    present = scale("one", 4, resourceVersion=now["metadata"]["resourceVersion"])
    await i.note("this version", i.ask("PATCH", one, present, APPLY, fieldManager="us", force="true"), *told)
    gone = i.ask("PATCH", i.at("deployments", "two"), scale("two", 3, **uid), APPLY, fieldManager="us", force="true")
    await i.note("a uid of nobody", gone)
    fresh = i.ask("PATCH", i.at("deployments", "two"), deployment("two", 2), APPLY, fieldManager="us")
    await i.note("made by an apply", fresh, "spec.replicas", "metadata.generation")
    await i.note("no manager", i.ask("PATCH", one, less, APPLY))


async def an_apply_replaces_a_selector_and_leaves_a_note_of_the_creation(i: Interview) -> None:
    """A canary widens the selector; and a note that a Deployment was created with goes only when it is written over."""
    service: Json = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "one", "annotations": {"a": "b"}}}
    spec = {"ports": [{"port": 80}]}
    told = ("spec.selector", "metadata.annotations")
    both = service | {"spec": spec | {"selector": {"app": "one", "revision": "1"}}}
    await i.note("created", i.ask("POST", i.at("services"), both), *told)
    wide = {**service, "metadata": {"name": "one"}, "spec": spec | {"selector": {"app": "one"}}}
    one = i.at("services", "one")
    await i.note("wider", i.ask("PATCH", one, wide, APPLY, fieldManager="us", force="true"), *told)
    narrow = wide | {"spec": spec | {"selector": {"app": "one", "revision": "2"}}}
    await i.note("narrow", i.ask("PATCH", one, narrow, APPLY, fieldManager="us", force="true"), *told)
    over = narrow | {"metadata": {"name": "one", "annotations": {"a": ""}}}
    await i.note("written over", i.ask("PATCH", one, over, APPLY, fieldManager="us", force="true"), *told)
    await i.note("left out", i.ask("PATCH", one, narrow, APPLY, fieldManager="us", force="true"), *told)


async def a_delete_may_name_what_it_means(i: Interview) -> None:
    for kind, body in (("jobs", job("one")), ("trainingjobs", training_job("one"))):
        made = await i.note(f"{kind} created", i.ask("POST", i.at(kind), body))
        wrong = {"preconditions": {"uid": "11111111-0000-0000-0000-000000000000"}}
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        await i.note("another uid", i.ask("DELETE", i.at(kind, "one"), options | wrong))
        right = {"preconditions": {"uid": made["metadata"]["uid"]}}
        await i.note("this uid", i.ask("DELETE", i.at(kind, "one"), options | right), "kind", "status")
        await i.note("gone", i.ask("GET", i.at(kind, "one")))
        await i.note("again", i.ask("DELETE", i.at(kind, "one"), options | right))
        anew = await i.note("made anew", i.ask("POST", i.at(kind), body))
        i.add("another uid than before", anew["metadata"]["uid"] != made["metadata"]["uid"])


async def finalizers_hold_a_delete(i: Interview) -> None:
    one = i.at("trainingjobs", "one")
    body = training_job("one")
    body["metadata"]["finalizers"] = ["example.com/mine"]
    await i.note("created", i.ask("POST", i.at("trainingjobs"), body))
    await i.note("deleted", i.ask("DELETE", one))
    _, held = await i.ask("GET", one)
    i.add("on its way", "deletionTimestamp" in held["metadata"])
    await i.note("let go", i.ask("PATCH", one, {"metadata": {"finalizers": None}}, MERGE))
    await i.note("gone", i.ask("GET", one))


async def lists_come_in_pages_of_one_version(i: Interview) -> None:
    for name in "abcde":
        body = training_job(name)
        body["metadata"]["labels"] = {"odd": str("abcde".index(name) % 2)}
        await i.ask("POST", i.at("trainingjobs"), body)
    _, first = await i.ask("GET", i.at("trainingjobs"), limit="2")
    await i.ask("DELETE", i.at("trainingjobs", "d"))
    _, second = await i.ask("GET", i.at("trainingjobs"), limit="2", token=first["metadata"]["continue"])
    _, third = await i.ask("GET", i.at("trainingjobs"), limit="2", token=second["metadata"]["continue"])
    for page in (first, second, third):
        i.add("page", [item["metadata"]["name"] for item in page["items"]])
        i.add("more", bool(page["metadata"].get("continue")))
        i.add("left", page["metadata"].get("remainingItemCount"))
        i.add("kind", page["kind"])
        i.add("one version", page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"])
    for selector in ("odd=1", "odd!=1", "odd", "none", "odd=0,odd"):
        _, found = await i.ask("GET", i.at("trainingjobs"), labelSelector=selector)
        i.add(selector, [item["metadata"]["name"] for item in found["items"]])
    _, partial = await i.ask("GET", i.at("trainingjobs"), metadata_only="yes")
    i.add("metadata", [sorted(item) for item in partial["items"]])
    i.add("kinds", [partial["kind"], partial["items"][0]["kind"]])
    _, empty = await i.ask("GET", i.at("jobs"), metadata_only="yes")
    i.add("none", empty.get("items", "nothing") or "none")
    await i.note("a token of nobody", i.ask("GET", i.at("trainingjobs"), token="bm8"))


async def a_watch_goes_on_from_a_version(i: Interview) -> None:
    labelled = training_job("one")
    labelled["metadata"]["labels"] = {"mine": "yes"}
    _, made = await i.ask("POST", i.at("trainingjobs"), labelled)
    one, since = i.at("trainingjobs", "one"), made["metadata"]["resourceVersion"]
    await i.ask("PATCH", one + "/status", {"status": {"phase": "A"}}, MERGE)
    await i.ask("PATCH", one, {"metadata": {"labels": {"mine": None}}}, MERGE)
    await i.ask("PATCH", one, {"metadata": {"labels": {"mine": "yes"}}}, MERGE)
    await i.ask("DELETE", one)
    for title, selector in (("all", ""), ("mine", "mine=yes")):
        events = await i.events(i.at("trainingjobs"), 4, resourceVersion=since, labelSelector=selector)
        i.add(title, [(e["type"], e["object"]["metadata"].get("labels") or {}, e["object"]["status"]) for e in events])
        versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
        i.add("in order, each newer", versions == sorted(set(versions)) and versions[0] > int(since))
    await i.ask("POST", i.at("trainingjobs"), training_job("two"))
    events = await i.events(i.at("trainingjobs"), 1)
    i.add("from nowhere", [(e["type"], e["object"]["metadata"]["name"]) for e in events])
    (error,) = await i.events(i.at("trainingjobs"), 1, resourceVersion="1")
    i.add("too old", (error["type"], error["object"]["code"], error["object"]["reason"]))


async def events_are_named_and_short(i: Interview) -> None:
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "one"},
        "eventTime": "2026-03-01T12:00:00.000000Z",
        "type": "Normal",
        "reason": "Said",
        "action": "Said",
        "note": "x" * 1024,
        "reportingController": "tandem.dev/operator",
        "reportingInstance": "one",
        "regarding": {"kind": "TrainingJob", "namespace": i.namespace, "name": "one"},
    }
    await i.note("said", i.ask("POST", i.at("events"), event), "note")
    await i.note("said again", i.ask("POST", i.at("events"), event))
    await i.note("too long", i.ask("POST", i.at("events"), event | {"metadata": {"name": "two"}, "note": "x" * 1025}))


async def what_is_no_request_is_told(i: Interview) -> None:
    await i.note("another kind", i.ask("POST", i.at("jobs"), training_job("one")))
    await i.note("no such kind", i.ask("GET", i.at("jobs").replace("/jobs", "/jabs")))
    await i.note("no such object", i.ask("GET", i.at("services", "none")))


QUESTIONS: list[Question] = [
    a_name_is_there_once,
    a_custom_resource_is_completed_and_checked,
    a_status_is_written_apart,
    a_late_put_is_refused,
    what_is_fixed_stays,
    an_apply_owns_what_it_says,
    an_apply_replaces_a_selector_and_leaves_a_note_of_the_creation,
    a_delete_may_name_what_it_means,
    finalizers_hold_a_delete,
    lists_come_in_pages_of_one_version,
    a_watch_goes_on_from_a_version,
    events_are_named_and_short,
    what_is_no_request_is_told,
]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.__name__)
async def test_it_answers_like_a_real_api_server(question: Question, real_api_server: ApiServer) -> None:
    namespace = real_api_server.new_namespace(f"true-{next(_numbers)}")
    connector = aiohttp.TCPConnector(ssl=_tls(real_api_server))
    async with aiohttp.ClientSession(connector=connector) as session:
        real = Interview(session, real_api_server.plane.url, namespace)
        await question(real)
    async with StandIn() as server, aiohttp.ClientSession() as session:
        server.writes.namespaces[namespace] = "Active"
        ours = Interview(session, server.url, namespace)
        await question(ours)

    differ = [(mine, its) for mine, its in zip(ours.notes, real.notes, strict=True) if mine != its]
    assert not differ, "\n".join(f"here:  {mine}\nthere: {its}" for mine, its in differ)


def _tls(server: ApiServer) -> ssl.SSLContext:
    configuration = Configuration()
    kubernetes.config.load_kube_config(str(server.plane.kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    assert configuration.cert_file is not None
    context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context
