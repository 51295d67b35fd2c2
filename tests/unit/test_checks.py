"""The checks themselves: what runs in which order, and that a failure is never lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from checks.run import Lanes, Result, alone
from checks.steps import CHECKS, FIRST, LANES, SLOW_LANES, SOAK_LANES, Check
from tests.crds import ROOT


def check(name: str, code: str) -> Check:
    return Check(name, "for this test", ((sys.executable, "-c", code),))


def test_every_check_has_a_name_of_its_own_and_runs_once() -> None:
    once = [*FIRST, *(it for lane in LANES + SLOW_LANES for it in lane)]

    assert len({it.name for it in once}) == len(once)
    assert set(CHECKS) == {*once, *(it for lane in SOAK_LANES for it in lane)}
    assert len({it.name for it in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize("words", [("lint", "--slow"), ("lint", "--soak"), ("--slow", "--soak")], ids=" ".join)
def test_one_thing_is_asked_for_at_a_time(words: tuple[str, ...]) -> None:
    asked = (sys.executable, "-m", "checks", *words)
    told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)

    assert told.returncode == 2
    assert "either steps, or --slow, or --soak" in told.stderr


@pytest.mark.parametrize(("code", "passed"), [("", True), ("raise SystemExit(3)", False)])
def test_a_check_passes_when_its_commands_exit_with_zero(code: str, passed: bool) -> None:
    assert alone(check("one", code)).passed is passed


def test_the_processor_time_is_that_of_the_check_and_of_what_it_started() -> None:
    spends = "import time\nwhile time.process_time() < 0.2: pass"
    starts = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {spends!r}], check=True)"

    assert alone(check("one", starts)).processor >= 0.2
    assert alone(check("another", "import time; time.sleep(0.2)")).processor < 0.2


def test_the_output_of_a_lane_is_kept_until_its_check_ends() -> None:
    results: list[Result] = []
    Lanes(((check("one", "print('said'); raise SystemExit(1)"),),), lambda _: None, results.append).run()

    assert [(result.passed, result.output) for result in results] == [(False, "said\n")]


def test_a_nice_check_takes_what_the_others_leave() -> None:
    results: list[Result] = []
    told = (sys.executable, "-c", "import os; print(os.nice(0))")
    nice, other = Check("nice", "for this test", (told,), nice=5), Check("other", "for this test", (told,))
    Lanes(((nice, other),), lambda _: None, results.append).run()

    ours = os.nice(0)
    assert [int(result.output) for result in results] == [ours + 5, ours]


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's jobs in the background do not have
from checks.run import Lanes
from checks.steps import Check

cleans_up = '''
import pathlib, signal, sys, time
told = pathlib.Path(sys.argv[1])
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append(1))
told.write_text("ready")
while not heard:
    time.sleep(0.02)
time.sleep(0.5)
told.write_text("cleaned up after " + str(len(heard)))
'''
check = Check("one", "for this test", ((sys.executable, "-c", cleans_up, sys.argv[1]),))
try:
    Lanes(((check,),), lambda _: None, lambda _: None).run()
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_ctrl_c_reaches_each_check_once_and_all_have_cleaned_up_when_the_command_ends(tmp_path: Path) -> None:
    """A terminal tells the whole group of it; pytest that is told twice leaves its cluster behind."""
    told = tmp_path / "told"
    code = [sys.executable, "-c", INTERRUPTED, str(told)]
    with subprocess.Popen(code, cwd=ROOT, process_group=0) as running:
        while not told.exists() or told.read_text() != "ready":
            assert running.poll() is None
            time.sleep(0.02)
        os.killpg(running.pid, signal.SIGINT)

        assert running.wait(30) == 130
    assert told.read_text() == "cleaned up after 1"


def test_after_a_failure_no_lane_begins_another_check(tmp_path: Path) -> None:
    both, told = tmp_path / "both", tmp_path / "told"

    def once(there: Path) -> str:
        return f"import pathlib, time\nwhile not pathlib.Path({str(there)!r}).exists(): time.sleep(0.02)\n"

    begun: list[str] = []
    results: dict[str, bool] = {}

    def begins(it: Check) -> None:
        begun.append(it.name)
        if len(begun) == 2:
            both.touch()

    def ended(result: Result) -> None:
        results[result.check.name] = result.passed
        told.touch()

    lanes = (
        (check("fails", once(both) + "raise SystemExit(1)"), check("never", "")),
        (check("goes on", once(told)), check("never either", "")),
    )
    Lanes(lanes, begins, ended).run()

    assert sorted(begun) == ["fails", "goes on"]
    assert results == {"fails": False, "goes on": True}
