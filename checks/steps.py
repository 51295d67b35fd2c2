"""The checks, as data: what each is called, what it runs, and what it is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """Commands that run one after the other; ``{python}`` and ``{bin}`` stand for the virtual environment's.

    ``nice``: beside others it takes what they leave (nobody's clock but its own runs on meanwhile).
    ``after``: names of those that must have ended before it begins, if they are asked for too.
    """

    name: str
    purpose: str
    commands: tuple[tuple[str, ...], ...]
    nice: int = 0
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Checks that run side by side in so many lanes: whichever is free takes the next one that may begin."""

    checks: tuple[Check, ...]
    lanes: int


# What the plans say in the unit tests is what the contract with kstatus judges.
_RECORDING = ("-p", "tests.contract.kstatus.recorder")


def _pytest(*words: str, slow: bool = False) -> tuple[str, ...]:
    """Of two halves one: each test is in `make test` or in `make slow` (docs/design/slow-tests.md)."""
    return ("{python}", "-m", "pytest", "-q", "--durations=5", "-m", "slow" if slow else "not slow", *words)


# What a contract is with: the API server, Kubernetes' own controllers, or what pods and the operator talk to besides.
_STORES = ("tests/contract/runtime", "tests/contract/tracking")
_CONTROLLERS = ("tests/contract/apps", "tests/contract/training")
_STATES = ("tests/contract/kstatus",)
_SIEVE, _VIEWS = "tests/faults/test_sieve.py", "tests/faults/test_views.py"

# A third of what others get. Pods have probes and leases run out; what is nothing but Python can wait.
_NICE = 5

_FAULTS = Check(
    "faults",
    "every fault we can name, on a strict API server of our own",
    (_pytest("tests/faults", f"--ignore={_SIEVE}", f"--ignore={_VIEWS}"),),
    _NICE,
)
# One process of Python keeps one core busy with either of these alone.
_SIEVED = (
    Check("sieve", "a crash, a loss at every moment of every scenario", (_pytest(_SIEVE),), _NICE),
    Check("views", "an older view at every moment of every scenario", (_pytest(_VIEWS),), _NICE),
)

_UNIT = Check("unit", "rules and plans; nothing but Python", (_pytest(*_RECORDING, "tests/unit"),), _NICE)

# Quick ones, one after the other: whoever breaks a rule of style need not wait for a cluster to hear of it.
FIRST = (
    Check(
        "lint",
        "style and formatting",
        (("{bin}/ruff", "check", "--quiet", "."), ("{bin}/ruff", "format", "--check", "--quiet", ".")),
    ),
    Check("layers", "the architecture's import contracts", (("{bin}/lint-imports",),)),
)

# What needs pods or waits for watches leaves the processor to what does not. Nothing in one check touches what another
# one has: control planes on ports of their own, clusters in namespaces of their own. A fourth lane makes nothing faster
# on two cores, and an API server that is starved ends leaders. The longest come first, so that all lanes end together;
# and at any time one that waits for nothing has what the others leave, or a tenth of the processor's time is nobody's.
QUICK = Plan(
    (
        Check("e2e", "the whole story, its faults and bad input, on real pods", (_pytest("tests/e2e"),)),
        Check(
            "contract",
            "a real API server, no pods",
            (_pytest("tests/contract", *(f"--ignore={folder}" for folder in (*_STORES, *_CONTROLLERS, *_STATES))),),
        ),
        Check("types", "mypy, strict", (("{bin}/mypy",),)),
        _UNIT,
        _FAULTS,
        Check("stores", "a real MLflow, S3, Git and registry, no pods", (_pytest(*_STORES),)),
        *_SIEVED,
        Check("controllers", "Kubernetes' own controllers, no pods", (_pytest(*_CONTROLLERS),)),
        Check("cluster", "the local cluster itself", (_pytest("tests/cluster"),)),
        # Beside the unit tests it would tell their stories once more.
        Check("states", "what kstatus and Argo CD say of every state", (_pytest(*_STATES),), _NICE, after=("unit",)),
    ),
    lanes=3,
)

# `make slow`: what takes minutes and confirms on more parts what QUICK holds on fewer.
SLOW = Plan(
    (
        Check("slow-contract", "further contracts with real parts", (_pytest("tests/contract", slow=True),)),
        Check("slow-e2e", "further stories on real pods", (_pytest("tests/e2e", slow=True),)),
        Check("slow-cluster", "clusters come and go", (_pytest("tests/cluster", slow=True),)),
    ),
    lanes=2,
)

# `make soak`, which asks for all faults (FAULTS=all): what they say does not depend on how fast the machine is.
SOAK = Plan(
    (
        Check("soak", "an hour of random doings and faults", (("{python}", "-m", "tests.soak", "--write-docs"),)),
        _FAULTS,
        *_SIEVED,
        _UNIT,
    ),
    lanes=3,
)

CHECKS = tuple(dict.fromkeys(FIRST + QUICK.checks + SLOW.checks + SOAK.checks))
