"""Introduces the kinds to the engine, and MLflow to both: the only module that knows all parts of Tandem."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from tandem.api import appdeployment_status, names, trainingjob_status
from tandem.api.appdeployment import AppDeployment
from tandem.api.appdeployment_status import AppDeploymentStatus
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
from tandem.api.facts import Facts, Query, Told
from tandem.api.plan import Observed, Outside, Plan, Refusal
from tandem.api.trainingjob import TrainingJob
from tandem.api.trainingjob_status import TrainingJobStatus
from tandem.apps.case import AppChildren, AppSettings
from tandem.apps.plan import plan as plan_app
from tandem.drift.plan import DriftSettings
from tandem.drift.plan import plan as plan_drift
from tandem.engine import controller as k8s
from tandem.engine.controller import Child, Controller, Figure, Named, ResourceType
from tandem.engine.metrics import Metrics
from tandem.engine.process import Options, run
from tandem.http import Permission
from tandem.tracking import Experiments, MlflowClient, TrackingReader, TrackingWriter, lot, poll_interval
from tandem.training.case import TrainingChildren, TrainingSettings
from tandem.training.plan import plan as plan_training

TRAINING_JOBS = ResourceType(names.GROUP, names.VERSION, names.TRAINING_JOB, "trainingjobs")
APP_DEPLOYMENTS = ResourceType(names.GROUP, names.VERSION, names.APP_DEPLOYMENT, "appdeployments")

# The four DORA figures of each AppDeployment that has delivered something within 30 days.
DELIVERY = (
    Figure(
        "tandem_app_deployments_30d",
        "Revisions that took the traffic for the first time, within 30 days",
        ("delivery", "deployments30d"),
    ),
    Figure(
        "tandem_app_lead_time_p50_seconds",
        "From the oldest commit that was not live until it was, the median of 30 days",
        ("delivery", "leadTimeP50Seconds"),
    ),
    Figure(
        "tandem_app_change_failure_rate",
        "Of the revisions of 30 days, those that failed or were rolled back",
        ("delivery", "changeFailureRate"),
    ),
    Figure(
        "tandem_app_time_to_restore_p50_seconds",
        "From Degraded to Ready, the median of 30 days",
        ("delivery", "timeToRestoreP50Seconds"),
    ),
)


@dataclass(frozen=True)
class Configuration:
    """What an administrator sets, once for the whole operator."""

    mlflow_uri: str
    runtime_image: str
    poll_every: timedelta


async def operate(configuration: Configuration, options: Options) -> None:
    """Run the operator: both kinds."""

    def controllers(there: frozenset[ResourceType]) -> tuple[Controller, ...]:
        apps = app_controller(configuration, gateway_api=k8s.HTTP_ROUTES in there)
        return training_controller(configuration), apps

    metrics, permission = Metrics(), Permission()
    async with mlflow(configuration, metrics, permission) as source:
        await run(controllers, source, options, metrics, permission, optional=(k8s.HTTP_ROUTES,))


async def watch_drift(configuration: Configuration, options: Options) -> None:
    """Run the model-drift controller: its own process, its own rights, one field of the status."""
    metrics, permission = Metrics(), Permission()
    async with mlflow(configuration, metrics, permission) as source:
        await run(lambda _: (drift_controller(),), source, options, metrics, permission)


def _taken_away(child: Named) -> Named | None:
    """Why a pod was taken away is told by the pod alone, and it may be gone within a second of being told."""
    return msgspec.structs.replace(child, departed=True) if isinstance(child, Pod) and child.disruption else None


_PODS = Child(k8s.PODS, Pod, departed=_taken_away)


def training_controller(configuration: Configuration) -> Controller:
    settings = TrainingSettings(configuration.runtime_image, configuration.mlflow_uri)

    def plan(
        resource: Named, children: Sequence[Named], facts: Facts, refusals: Mapping[str, Refusal], now: datetime
    ) -> Plan:
        assert isinstance(resource, TrainingJob)
        owned = TrainingChildren(
            jobs=tuple(child for child in children if isinstance(child, Job)),
            pods=tuple(child for child in children if isinstance(child, Pod)),
        )
        return plan_training(settings, Observed(resource, owned, facts, refusals), now)

    return Controller(
        resource=TRAINING_JOBS,
        view=TrainingJob,
        children=(Child(k8s.JOBS, Job), _PODS),
        plan=plan,
        status_fields=_fields(TrainingJobStatus) - {"drift"},
        field_manager="tandem",
        component="operator",
        phases=trainingjob_status.PHASES,
    )


def app_controller(configuration: Configuration, *, gateway_api: bool = False) -> Controller:
    """``gateway_api``: the cluster has HTTPRoutes; without them they cannot be watched."""
    settings = AppSettings(configuration.runtime_image, configuration.mlflow_uri, gateway_api=gateway_api)

    def plan(
        resource: Named, children: Sequence[Named], facts: Facts, refusals: Mapping[str, Refusal], now: datetime
    ) -> Plan:
        assert isinstance(resource, AppDeployment)
        owned = AppChildren(
            deployments=tuple(child for child in children if isinstance(child, Deployment)),
            replica_sets=tuple(child for child in children if isinstance(child, ReplicaSet)),
            pods=tuple(child for child in children if isinstance(child, Pod) and not child.departed),
            services=tuple(child for child in children if isinstance(child, Service)),
            config_maps=tuple(child for child in children if isinstance(child, ConfigMap)),
            jobs=tuple(child for child in children if isinstance(child, Job)),
            budgets=tuple(child for child in children if isinstance(child, PodDisruptionBudget)),
            network_policies=tuple(child for child in children if isinstance(child, NetworkPolicy)),
            autoscalers=tuple(child for child in children if isinstance(child, HorizontalPodAutoscaler)),
            ingresses=tuple(child for child in children if isinstance(child, Ingress)),
            routes=tuple(child for child in children if isinstance(child, HTTPRoute)),
        )
        return plan_app(settings, Observed(resource, owned, facts, refusals), now)

    return Controller(
        resource=APP_DEPLOYMENTS,
        view=AppDeployment,
        children=(
            Child(k8s.DEPLOYMENTS, Deployment),
            Child(k8s.REPLICA_SETS, ReplicaSet),
            _PODS,
            Child(k8s.SERVICES, Service),
            Child(k8s.CONFIG_MAPS, ConfigMap),
            Child(k8s.JOBS, Job),
            Child(k8s.DISRUPTION_BUDGETS, PodDisruptionBudget),
            Child(k8s.NETWORK_POLICIES, NetworkPolicy),
            Child(k8s.AUTOSCALERS, HorizontalPodAutoscaler),
            Child(k8s.INGRESSES, Ingress),
            *((Child(k8s.HTTP_ROUTES, HTTPRoute),) if gateway_api else ()),
        ),
        plan=plan,
        status_fields=_fields(AppDeploymentStatus),
        field_manager="tandem",
        component="operator",
        phases=appdeployment_status.PHASES,
        figures=DELIVERY,
    )


def drift_controller() -> Controller:
    settings = DriftSettings()

    def plan(resource: Named, _: Sequence[Named], facts: Facts, refusals: Mapping[str, Refusal], now: datetime) -> Plan:
        assert isinstance(resource, TrainingJob)
        return plan_drift(settings, Observed(resource, None, facts, refusals), now)

    return Controller(
        resource=TRAINING_JOBS,
        view=TrainingJob,
        children=(),
        plan=plan,
        status_fields=frozenset({"drift"}),
        field_manager="tandem-drift",
        component="drift",
        phases=trainingjob_status.PHASES,
    )


class MlflowSource:
    """MLflow as a source of facts: reads, polls and writes."""

    def __init__(self, client: MlflowClient, poll_every: timedelta) -> None:
        experiments = Experiments(client)
        self._reader = TrackingReader(client, experiments=experiments)
        self._writer = TrackingWriter(client, experiments=experiments)
        self._poll_every = poll_every

    async def answer(self, queries: Collection[Query[object]]) -> Mapping[Query[object], object]:
        return await self._reader.answer(queries)

    def poll_interval(self, query: Query[object]) -> timedelta | None:
        return poll_interval(query, self._poll_every)

    def lot(self, query: Query[object]) -> str | None:
        return lot(query)

    async def carry_out(self, write: Outside) -> Told:
        return await self._writer.carry_out(write)


@asynccontextmanager
async def mlflow(configuration: Configuration, metrics: Metrics, permission: Permission) -> AsyncIterator[MlflowSource]:
    client = MlflowClient(configuration.mlflow_uri, count=metrics.asked_outside, may_write=permission)
    try:
        yield MlflowSource(client, configuration.poll_every)
    finally:
        await client.close()


def _fields(status: type[TrainingJobStatus | AppDeploymentStatus]) -> frozenset[str]:
    return frozenset(status.__struct_encode_fields__)
