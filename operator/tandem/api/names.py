"""Every name that more than one part of Tandem writes or reads: API group, labels, annotations, tags."""

from typing import Final

GROUP: Final = "tandem.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

TRAINING_JOB: Final = "TrainingJob"
APP_DEPLOYMENT: Final = "AppDeployment"

# Labels. The operator watches children by MANAGED_BY, on the server side. `app.kubernetes.io/instance` is left
# alone on purpose: Argo CD's label tracking would take a child that carries it for one that Git owns, and prune it.
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"
MANAGED_BY: Final = "tandem"
TRAINING_JOB_LABEL: Final = f"{GROUP}/training-job"
RUN_LABEL: Final = f"{GROUP}/run"
APP_LABEL: Final = f"{GROUP}/app-deployment"
REVISION_LABEL: Final = f"{GROUP}/revision"

# Annotations of children: what a Job or a Deployment was made from, so that a lost status is found again.
SPEC_DIGEST_ANNOTATION: Final = f"{GROUP}/spec-digest"
TRIGGER_ANNOTATION: Final = f"{GROUP}/trigger"
MLFLOW_RUN_ANNOTATION: Final = f"{GROUP}/mlflow-run-id"
SUSPENDED_ANNOTATION: Final = f"{GROUP}/suspended"  # it was Tandem that suspended this Job
HUNG_ANNOTATION: Final = f"{GROUP}/hung"  # why Tandem let this Job's deadline pass
DISRUPTED_ANNOTATION: Final = f"{GROUP}/disrupted"  # why, too: the cluster took its pods away too often
DEFAULT_CONTAINER_ANNOTATION: Final = "kubectl.kubernetes.io/default-container"
RESTART_ANNOTATION: Final = f"{GROUP}/restart"  # the attempt that all nodes of a run begin together, and why
ENDED_ANNOTATION: Final = f"{GROUP}/ended"  # why, too: its nodes cannot go on together; "Reason: message"

# Labels of a resource with this prefix are passed on to its Jobs: Kueue admits those like any other Job.
KUEUE_PREFIX: Final = "kueue.x-k8s.io/"
QUEUE_LABEL: Final = f"{KUEUE_PREFIX}queue-name"

# Annotation of a resource: a person asks for a run now, by writing a token that was not there before
# (the shape of `flux reconcile`; GitOps does not undo it).
REQUESTED_AT_ANNOTATION: Final = f"{GROUP}/requestedAt"

# Annotations of a resource: a person's decision on the run that waits for one; each names that run by its MLflow id,
# which no later run and no resource of the same name made anew can have.
APPROVED_ANNOTATION: Final = f"{GROUP}/approved"
REJECTED_ANNOTATION: Final = f"{GROUP}/rejected"
# The same of a rollout; each names the revision that it means ("5"), `approved` the step too ("5/2", "5/promotion").
PROMOTE_ANNOTATION: Final = f"{GROUP}/promote"
ABORT_ANNOTATION: Final = f"{GROUP}/abort"
PAUSE_ANNOTATION: Final = f"{GROUP}/pause"
# What the next two are about: "promote 5 2026-03-01T12:00:00Z"; the time makes the same word, said again, another one.
DECIDED_ANNOTATION: Final = f"{GROUP}/decided"
DECIDED_BY_ANNOTATION: Final = f"{GROUP}/decided-by"
DECIDED_BECAUSE_ANNOTATION: Final = f"{GROUP}/decided-because"
# Of tandem.dev/requestedAt, which nobody needs a right to decide for; `requested`: the token that the others are about.
REQUESTED_ANNOTATION: Final = f"{GROUP}/requested"
REQUESTED_BY_ANNOTATION: Final = f"{GROUP}/requested-by"
REQUESTED_BECAUSE_ANNOTATION: Final = f"{GROUP}/requested-because"

# Tags of MLflow runs, versions and registered models.
TAG_RESOURCE_UID: Final = f"{GROUP}/resource-uid"
TAG_RESOURCE: Final = f"{GROUP}/resource"
TAG_RUN: Final = f"{GROUP}/run"
TAG_SPEC_DIGEST: Final = f"{GROUP}/spec-digest"
TAG_TRIGGER: Final = f"{GROUP}/trigger"
TAG_TRAINED: Final = f"{GROUP}/trained"  # every step of the run succeeded: what is left when Job and status are lost
TAG_ATTEMPT_START: Final = f"{GROUP}/attempt-start"  # of the attempt that was judged, where it was not the only one
TAG_IMAGE: Final = f"{GROUP}/image"
TAG_INPUTS: Final = f"{GROUP}/inputs"  # digests of steps and parameters, by the field's name
TAG_ENVIRONMENT: Final = f"{GROUP}/environment"  # the settings of each step: threads, hash seed
TAG_REPRODUCES: Final = f"{GROUP}/reproduces"  # the MLflow run that this one is to repeat
TAG_REPRODUCTION: Final = f"{GROUP}/reproduction"  # what the comparison of the two models found
TAG_IMAGE_DIGEST: Final = f"{GROUP}/image-digest"
TAG_COMMIT: Final = "mlflow.source.git.commit"
TAG_SOURCE_DIGEST: Final = f"{GROUP}/source-digest"
TAG_REPOSITORY: Final = "mlflow.source.git.repoURL"
TAG_DATA: Final = f"{GROUP}/data"
TAG_DATA_VERSION: Final = f"{GROUP}/data-version"  # what the store said of the state of the data: no digest
TAG_RUN_ID: Final = f"{GROUP}/run-id"
TAG_MODEL_DIGEST: Final = f"{GROUP}/model-digest"  # of a version; of a run: model-digest.<id of the model>
TAG_GATE: Final = f"{GROUP}/gate"
TAG_GATE_RESULT: Final = f"{GROUP}/gate.result"  # Passed, Failed, Unknown; the rules' verdicts are gate.01, gate.02 …
TAG_GATE_RULES: Final = f"{GROUP}/gate.rules"  # how many there are
TAG_NAMESPACE: Final = f"{GROUP}/namespace"

# Monitoring runs: one per model version, in one experiment of the server (docs/design/monitoring-runs.md).
MONITORING_EXPERIMENT: Final = "tandem-monitoring"
TAG_ROLE: Final = f"{GROUP}/role"
ROLE_MONITOR: Final = "monitor"
TAG_MODEL: Final = f"{GROUP}/model"
TAG_MODEL_VERSION: Final = f"{GROUP}/model-version"
EVALUATED_AT_METRIC: Final = "eval_ts"

# The promotion ledger: one run per move of an alias, in one experiment of the server (docs/design/promotions.md).
PROMOTIONS_EXPERIMENT: Final = "tandem-promotions"
ROLE_PROMOTION: Final = "promotion"
TAG_ALIAS: Final = f"{GROUP}/alias"
TAG_MODEL_KEY: Final = f"{GROUP}/model-key"  # a hash of the model's name: MLflow's filters cannot quote a name
TAG_PROMOTED_BY: Final = f"{GROUP}/promoted-by-uid"
PROMOTION_APPROVED_BY: Final = "approved-by"
PROMOTION_APPROVED_AT: Final = "approved-at"
TAG_PROMOTED_BY_RUN: Final = f"{GROUP}/promoted-by-run"

# Headers that a model server adds to every prediction.
HEADER_MODEL_NAME: Final = "X-Model-Name"
HEADER_MODEL_VERSION: Final = "X-Model-Version"
HEADER_RUN_ID: Final = "X-Model-Run-Id"
