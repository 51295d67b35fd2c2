"""The arithmetic of a rollout: which steps a strategy has, and how many pods and how much traffic each of them is.

What serves keeps all its pods at every step. So a candidate can be taken out of the traffic at any moment, and an
autoscaler that looks at the stable pods alone never sees fewer of them than it asked for (argo-rollouts#2857). The
price: divided by pods, a candidate has half of the traffic at most.
"""

from __future__ import annotations

from typing import Final

from tandem.api.appdeployment import Rollout, RolloutStep

_QUARTERS: Final = tuple(RolloutStep(traffic_percent=percent) for percent in (25, 50, 75))


def steps_of(rollout: Rollout) -> tuple[RolloutStep, ...]:
    """The steps before all the traffic; none: it switches at once."""
    match rollout.strategy:
        case "Canary":
            return rollout.steps
        case "RollingUpdate":
            return _QUARTERS
        case "BlueGreen":
            return ()


def pods_for(percent: int, replicas: int, *, by_weight: bool) -> int:
    """Of the candidate, beside ``replicas`` of what serves; at least one, which a preview or a tester asks.

    By weight it takes as many as that share of the traffic needs; by pods as many as make that share.
    """
    if replicas == 0:
        return 0
    if by_weight:
        return max(1, _ceil(percent * replicas, 100))
    if percent >= 50:
        return replicas
    return max(1, _ceil(percent * replicas, 100 - percent))


def share_of(candidate: int, stable: int) -> int:
    """Percent of the traffic that so many pods among all of them get."""
    return round(100 * candidate / (candidate + stable)) if candidate else 0


def _ceil(number: int, by: int) -> int:
    return -(-number // by)
