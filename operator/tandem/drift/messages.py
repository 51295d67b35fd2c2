"""What people read: in status.drift.message, in the reason of a request, in Events.

Every text follows from the stored state, the spec and MLflow's answers, never from the clock: a message that moved by
itself would be a write at rest.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from tandem.api.trainingjob import DriftPolicy, DriftSignal
from tandem.api.trainingjob_status import SignalStatus
from tandem.drift.champion import Champion, watched
from tandem.drift.detectors import Missing, Window, judge

GUIDE: Final = "docs/design/monitoring-runs.md"
# Minutes since the epoch, 2000 to 2100: outside, somebody logged another kind of step.
_PLAUSIBLE: Final = range(15_778_080, 68_374_080)


def describe(signal: DriftSignal, state: SignalStatus, champion: Champion) -> str:
    """One signal, in a line: where it stands and why."""
    metric = signal.metric
    if state.last_step == 0:
        return f"{metric}: no window yet (step is the start of a window, in minutes since the epoch)"
    if state.state == "TooFewSamples":
        return f"{metric}: not judged, the newest window has fewer than minSamples {signal.min_samples} samples"
    if state.state == "Unknown":
        return f"{metric}: not judged, {_why(signal, state, champion) or 'nothing was logged since'}"
    if state.state == "Healthy":
        return f"{metric} {state.value}: healthy"
    return f"{metric} {figures(signal, state, champion)}"


def figures(signal: DriftSignal, state: SignalStatus, champion: Champion) -> str:
    """Value, bound, baseline and count of a breached signal, the newest window last."""
    own = champion.baseline(signal)
    why = _why(signal, state, champion)
    # A breached min or max comes first in the verdict; the reader wants the champion's own value all the same.
    baseline = "" if isinstance(own, Missing) or "champion's" in why else f", the champion's own value is {own}"
    return (
        f"{state.value}{f': {why}' if why else ''}{baseline}; "
        f"{state.breaches} consecutive breaches of {signal.breaches.count}, newest window {when(state.last_step)}"
    )


def unmonitored(policy: DriftPolicy, champion: Champion, experiment: str) -> str:
    return (
        f"nothing monitors version {champion.version} of {champion.model} yet: log {', '.join(watched(policy))} "
        f"to experiment {experiment} ({GUIDE})"
    )


def when(step: int) -> str:
    """A window by its start."""
    return f"{datetime.fromtimestamp(step * 60, UTC):%Y-%m-%d %H:%MZ}" if step in _PLAUSIBLE else f"step {step}"


def _why(signal: DriftSignal, state: SignalStatus, champion: Champion) -> str:
    """Why the stored value was judged as it was: judged again, by the same rules."""
    if not state.value:
        return ""
    newest = Window(state.last_step, float(state.value), float(signal.min_samples))
    return judge(signal, newest, champion.baseline(signal)).why
