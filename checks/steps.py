"""The checks, as data: what each is called, what it runs, and what it is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """Commands that run one after the other; ``{python}`` and ``{bin}`` stand for the virtual environment's.

    ``nice``: beside others it takes what they leave (nobody's clock but its own runs on meanwhile).
    """

    name: str
    purpose: str
    commands: tuple[tuple[str, ...], ...]
    nice: int = 0


# What the plans say in the unit tests is what the contract with kstatus judges.
_RECORDING = ("-p", "tests.contract.kstatus.recorder")


def _pytest(*words: str, slow: bool = False) -> tuple[str, ...]:
    """Of two halves one: each test is in `make test` or in `make slow` (docs/design/slow-tests.md)."""
    return ("{python}", "-m", "pytest", "-q", "--durations=5", "-m", "slow" if slow else "not slow", *words)


# What a contract is with: the API server, Kubernetes' own controllers, or what pods and the operator talk to besides.
_STORES = ("tests/contract/runtime", "tests/contract/tracking")
_CONTROLLERS = ("tests/contract/apps", "tests/contract/training")
_STATES = ("tests/contract/kstatus",)
_SIEVE = "tests/faults/test_sieve.py"

# A third of what others get. Pods have probes and leases run out; what is nothing but Python can wait.
_NICE = 5

_FAULTS = Check(
    "faults",
    "every fault we can name, on a strict API server of our own",
    (_pytest("tests/faults", f"--ignore={_SIEVE}"),),
    _NICE,
)
# One process of Python keeps one core busy with this alone.
_EVERY_MOMENT = Check(
    "sieve", "a crash, a loss, an older view at every moment of every scenario", (_pytest(_SIEVE),), _NICE
)

# Quick ones, one after the other: whoever breaks a rule of style need not wait for a cluster to hear of it.
FIRST = (
    Check(
        "lint",
        "style and formatting",
        (("{bin}/ruff", "check", "--quiet", "."), ("{bin}/ruff", "format", "--check", "--quiet", ".")),
    ),
    Check("layers", "the architecture's import contracts", (("{bin}/lint-imports",),)),
)

# Lanes side by side: what needs pods or waits for watches leaves the processor to what does not. Nothing in one lane
# touches what another one has: control planes on ports of their own, clusters in namespaces of their own. A fourth lane
# makes nothing faster on two cores, and an API server that is starved ends leaders.
LANES = (
    (
        Check("types", "mypy, strict", (("{bin}/mypy",),)),
        Check("stores", "a real MLflow, S3, Git and registry, no pods", (_pytest(*_STORES),)),
        Check("unit", "rules and plans; nothing but Python", (_pytest(*_RECORDING, "tests/unit"),), _NICE),
        # After the unit tests, beside which it would tell their stories once more.
        Check("states", "what kstatus and Argo CD say of every state", (_pytest(*_STATES),), _NICE),
        Check("cluster", "the local cluster itself", (_pytest("tests/cluster"),)),
    ),
    (
        Check(
            "contract",
            "a real API server, no pods",
            (_pytest("tests/contract", *(f"--ignore={folder}" for folder in (*_STORES, *_CONTROLLERS, *_STATES))),),
        ),
        Check("controllers", "Kubernetes' own controllers, no pods", (_pytest(*_CONTROLLERS),)),
        _FAULTS,
    ),
    (
        Check("e2e", "the whole story, its faults and bad input, on real pods", (_pytest("tests/e2e"),)),
        _EVERY_MOMENT,
    ),
)

# `make slow`: what takes minutes and confirms on more parts what LANES hold on fewer.
SLOW_LANES = (
    (Check("slow-e2e", "further stories on real pods", (_pytest("tests/e2e", slow=True),)),),
    (
        Check("slow-contract", "further contracts with real parts", (_pytest("tests/contract", slow=True),)),
        Check("slow-cluster", "clusters come and go", (_pytest("tests/cluster", slow=True),)),
    ),
)

# `make soak`, which asks for all faults (FAULTS=all): what they say does not depend on how fast the machine is.
SOAK_LANES = (
    (_FAULTS,),
    (_EVERY_MOMENT,),
    (Check("soak", "an hour of random doings and faults", (("{python}", "-m", "tests.soak", "--write-docs"),)),),
)

CHECKS = tuple(dict.fromkeys(FIRST + tuple(check for lane in LANES + SLOW_LANES + SOAK_LANES for check in lane)))
