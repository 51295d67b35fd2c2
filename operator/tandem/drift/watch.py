"""One look at one champion: judge its windows, and carry an alarm through request, run and cooldown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from tandem.api.conditions import shortened
from tandem.api.plan import Draft, Emit
from tandem.api.trainingjob import DriftPolicy, DriftSignal, TrainingJob
from tandem.api.trainingjob_status import DriftStatus, RetrainRequest, SignalStatus
from tandem.drift import messages, policy, signals
from tandem.drift.champion import Champion


@dataclass(frozen=True)
class Watch:
    """What one look has in hand."""

    experiment: str  # of monitoring runs
    job: TrainingJob
    policy: DriftPolicy
    champion: Champion
    draft: Draft
    now: datetime

    def status(self, known: DriftStatus) -> DriftStatus:
        """The drift status after this look; Events and the time of the next look go to the draft."""
        based = self._based(known)
        judged = self._judged(based)
        held = self._cycle(judged) if judged.retrain_request is not None else self._alarm(judged)
        self._tell(based, held)
        return msgspec.structs.replace(held, message=shortened(self._message(held)))

    def _based(self, known: DriftStatus) -> DriftStatus:
        """State belongs to one champion: promotion and rollback both start anew, and withdraw an open request."""
        version = self.champion.version
        if known.champion_version == version:
            return known
        first = not known.champion_version
        back = not first and not _is_newer(version, known.champion_version)
        return DriftStatus(
            champion_version=version,
            champion_since=None if first else policy.seconds(self.now),
            # After a rollback, what the old champion's monitoring logged before is what raised the alarm back then.
            signals=tuple(
                SignalStatus(metric=signal.metric, last_step=self._newest_step(signal) if back else 0)
                for signal in self.policy.signals
            ),
        )

    def _newest_step(self, signal: DriftSignal) -> int:
        monitor = self.champion.monitor
        points = monitor.points.get(signal.metric, ()) if monitor is not None else ()
        return max((point.step for point in points), default=0)

    def _judged(self, based: DriftStatus) -> DriftStatus:
        return msgspec.structs.replace(
            based, signals=tuple(self._signal(signal, _state(based, signal)) for signal in self.policy.signals)
        )

    def _signal(self, signal: DriftSignal, state: SignalStatus) -> SignalStatus:
        monitor = self.champion.monitor
        if monitor is None:
            return signals.unmonitored(signals.relaxed(signal, state))
        return signals.fold(signal, state, signals.windows_of(signal, monitor), self.champion.baseline(signal))

    def _alarm(self, judged: DriftStatus) -> DriftStatus:
        """No request is open: an alarm makes one, unless a brake holds it."""
        alarm = next(signals.alarms(judged.signals), None)
        held = policy.brake(self.job, judged.champion_since, self.now) if alarm is not None else None
        if alarm is None or held is not None:
            return self._waiting(judged, held.until if held is not None else None)
        request = RetrainRequest(
            id=policy.request_id(self.job.metadata.uid, self.champion.version, alarm.metric, signals.alarm_step(alarm)),
            reason=shortened(f"{self._name} drifted: {self._figures(alarm)}"),
            requested_at=policy.seconds(self.now),
        )
        return msgspec.structs.replace(judged, retrain_request=request, cooldown_until=None)

    def _cycle(self, judged: DriftStatus) -> DriftStatus:
        """A request is open: it stays until its run is over and cooled down; then the count begins again."""
        run = policy.answer_to(judged.retrain_request.id, self.job.status) if judged.retrain_request else None
        if run is None or run.completion_time is None:
            return self._waiting(judged, None)
        until = policy.cooldown_end(self.job, judged.champion_since)
        if until is not None and self.now < until:
            return self._waiting(judged, until)
        restarted = tuple(signals.restarted(state) for state in judged.signals)
        return msgspec.structs.replace(judged, retrain_request=None, cooldown_until=None, signals=restarted)

    def _waiting(self, judged: DriftStatus, until: datetime | None) -> DriftStatus:
        if until is not None:
            self.draft.requeue(until - self.now)
        return msgspec.structs.replace(judged, cooldown_until=until)

    # --- words -------------------------------------------------------------------------------------------------------

    def _tell(self, before: DriftStatus, after: DriftStatus) -> None:
        """Events, once per transition."""
        known = {state.metric: state.state for state in before.signals}
        for state in signals.alarms(after.signals):
            if known.get(state.metric) != "Drifted":
                text = f"{self._name} drifted: {self._figures(state)}"
                self.draft.events.append(Emit("Warning", "DriftDetected", shortened(text)))
        request = after.retrain_request
        if request is not None and before.retrain_request is None:
            text = f"a training run is requested ({request.id}): {request.reason}"
            self.draft.events.append(Emit("Normal", "RetrainRequested", shortened(text)))

    def _message(self, status: DriftStatus) -> str:
        if self.champion.monitor is None:
            missing = messages.unmonitored(self.policy, self.champion, self.experiment)
            return "; ".join(filter(None, (missing, self._progress(status))))
        lines = (messages.describe(signal, _state(status, signal), self.champion) for signal in self.policy.signals)
        return "; ".join(filter(None, (f"{self._name}: " + "; ".join(lines), self._progress(status))))

    def _progress(self, status: DriftStatus) -> str:
        """What happens about an alarm."""
        request = status.retrain_request
        if request is None:
            alarmed = any(signals.alarms(status.signals))
            held = policy.brake(self.job, status.champion_since, self.now) if alarmed else None
            return f"no request yet: {held.message}" if held is not None else ""
        run = policy.answer_to(request.id, self.job.status)
        if run is None:
            return f"a run is requested ({request.id}): waiting for the operator to start it"
        if run.completion_time is None:
            return f"run {run.number} answers it"
        if status.cooldown_until is not None:
            until = f"{status.cooldown_until:%Y-%m-%d %H:%M:%SZ}"
            return f"run {run.number} answered it; the count begins again after the cooldown, at {until}"
        return ""

    def _figures(self, state: SignalStatus) -> str:
        signal = next(signal for signal in self.policy.signals if signal.metric == state.metric)
        return f"{state.metric} {messages.figures(signal, state, self.champion)}"

    @property
    def _name(self) -> str:
        return f"{self.champion.model} version {self.champion.version}"


def _state(status: DriftStatus, signal: DriftSignal) -> SignalStatus:
    found = next((state for state in status.signals if state.metric == signal.metric), None)
    return found or SignalStatus(metric=signal.metric)


def _is_newer(version: str, than: str) -> bool:
    """MLflow numbers versions 1, 2, 3 …; what is not surely newer is treated as a rollback."""
    return version.isdecimal() and than.isdecimal() and int(version) > int(than)
