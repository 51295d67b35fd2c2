"""What every step is given so that it can be repeated: the order of sets and dicts, and how many threads add up.

A sum of floats depends on the order of its terms, and that on the number of threads, which libraries take from the node
(not from the container's limit) unless they are told. So it is the number of CPUs that the step asked for, everywhere.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Final

import msgspec

from tandem.api import names
from tandem.api.containers import Resources, amount
from tandem.api.trainingjob import Step, TrainingJobSpec

THREADS: Final = "OMP_NUM_THREADS"  # OpenMP, and with it OpenBLAS, MKL, numexpr, XGBoost, torch
_HASH_SEED: Final = "PYTHONHASHSEED"
_NUMBER: Final = re.compile(r"[0-9]{1,10}")


def resources_of(spec: TrainingJobSpec, step: Step) -> Resources:
    """Its own, or those that every node gives."""
    return step.resources if step.resources != Resources() else spec.resources_per_node


def settings(resources: Resources, processes: int = 1) -> dict[str, str]:
    """The environment of a step beside its parameters, which may set another number of threads.

    ``processes``: that share its CPUs.
    """
    return {_HASH_SEED: "0", THREADS: str(_threads(resources, processes))}


def record_of(spec: TrainingJobSpec) -> dict[str, str]:
    """The tags of a run by which it can be repeated, beside those of its lineage."""
    own = spec.parameters
    given = {step.name: settings(resources_of(spec, step), spec.num_proc_per_node) for step in spec.steps}
    in_force = {name: {key: own.get(key, value) for key, value in told.items()} for name, told in given.items()}
    return {
        names.TAG_INPUTS: json.dumps(inputs_of(spec), sort_keys=True),
        names.TAG_ENVIRONMENT: json.dumps(in_force, sort_keys=True),
    }


def settings_on_record(spec: TrainingJobSpec, told: str) -> Mapping[str, Mapping[str, str]] | None:
    """The settings of each step as a tag has them; None where they are not such as are written there.

    Anybody who writes to MLflow can change a tag, so it brings no other variable into a container (LD_PRELOAD), and no
    other value than a number, or what the spec's own parameters say.
    """
    try:
        found = msgspec.json.decode(told, type=dict[str, dict[str, str]])
    except msgspec.DecodeError:
        return None
    ours = all(
        given.keys() == {_HASH_SEED, THREADS}
        and all(_NUMBER.fullmatch(value) or value == spec.parameters.get(name) for name, value in given.items())
        for given in found.values()
    )
    return found if ours and found.keys() == {step.name for step in spec.steps} else None


def inputs_of(spec: TrainingJobSpec) -> dict[str, str]:
    """Digests of what decides the model and is no version: which steps, with which commands and parameters.

    Not where code, data and images come from: a mirror has the same bytes, and their digests are on record.
    """
    git = spec.source.git if spec.source else None
    kind = None if spec.source is None else "git" if git else "configMap"
    shape = [spec.num_nodes, spec.num_proc_per_node]
    return {
        "steps": _digest([[step.name, list(step.command)] for step in spec.steps]),
        "parameters": _digest(spec.parameters),
        "source": _digest([kind, git.path if git else None]),
        # Of one process nothing is on record, as before there could be others.
        **({"numNodes": _digest(shape)} if shape != [1, 1] else {}),
    }


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _threads(resources: Resources, processes: int) -> int:
    asked = resources.limits.get("cpu", resources.requests.get("cpu", 1))
    return max(1, math.ceil(amount(asked)) // processes)
