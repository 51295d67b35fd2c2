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
from checks.steps import CHECKS, FIRST, QUICK, SLOW, SOAK, Check, Plan
from tests.crds import ROOT


def check(name: str, code: str, after: tuple[str, ...] = ()) -> Check:
    return Check(name, "for this test", ((sys.executable, "-c", code),), after=after)


def until(*there: Path) -> str:
    """Code of a check that ends when these files are there."""
    waiting = f"while not all(map(os.path.exists, {[str(path) for path in there]})): time.sleep(0.02)"
    return f"import os, time\n{waiting}\n"


def test_every_check_has_a_name_of_its_own_and_runs_once() -> None:
    once = [*FIRST, *QUICK.checks, *SLOW.checks]

    assert len({it.name for it in once}) == len(once)
    assert set(CHECKS) == {*once, *SOAK.checks}
    assert len({it.name for it in CHECKS}) == len(CHECKS)


@pytest.mark.parametrize("plan", [QUICK, SLOW, SOAK], ids=["quick", "slow", "soak"])
def test_what_a_check_comes_after_stands_before_it(plan: Plan) -> None:
    """So that none waits for one that waits for it."""
    names = [it.name for it in plan.checks]

    for number, it in enumerate(plan.checks):
        assert set(it.after) <= set(names[:number])


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
    Lanes(Plan((check("one", "print('said'); raise SystemExit(1)"),), 1), lambda _: None, results.append).run()

    assert [(result.passed, result.output) for result in results] == [(False, "said\n")]


def test_a_nice_check_takes_what_the_others_leave() -> None:
    results: list[Result] = []
    told = (sys.executable, "-c", "import os; print(os.nice(0))")
    nice, other = Check("nice", "for this test", (told,), nice=5), Check("other", "for this test", (told,))
    Lanes(Plan((nice, other), 1), lambda _: None, results.append).run()

    ours = os.nice(0)
    assert [int(result.output) for result in results] == [ours + 5, ours]


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's jobs in the background do not have
from checks.run import Lanes
from checks.steps import Check, Plan

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
    Lanes(Plan((check,), 1), lambda _: None, lambda _: None).run()
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


def test_whichever_lane_is_free_takes_the_next_check(tmp_path: Path) -> None:
    """Two lanes, and one check that only ends when all others have."""
    told = {name: tmp_path / name for name in ("second", "third", "fourth")}
    others = [check(name, f"open({str(path)!r}, 'w')") for name, path in told.items()]
    plan = Plan((check("first", until(*told.values())), *others), lanes=2)
    begun: list[str] = []
    results: list[Result] = []
    Lanes(plan, lambda it: begun.append(it.name), results.append).run()

    assert sorted(begun[:2]) == ["first", "second"]
    assert begun[2:] == ["third", "fourth"]
    assert [result.passed for result in results] == [True] * 4


def test_a_check_waits_for_what_it_comes_after_while_the_next_one_is_begun(tmp_path: Path) -> None:
    told = tmp_path / "told"
    checks = (
        check("slow", until(told)),
        check("after", "", after=("slow", "never asked for")),
        check("next", f"open({str(told)!r}, 'w')"),
    )
    results: list[Result] = []
    Lanes(Plan(checks, lanes=3), lambda _: None, results.append).run()

    ended = [result.check.name for result in results]
    assert sorted(ended) == ["after", "next", "slow"]
    assert ended[-1] == "after"


def test_after_a_failure_no_check_is_begun(tmp_path: Path) -> None:
    both, told = tmp_path / "both", tmp_path / "told"
    begun: list[str] = []
    results: dict[str, bool] = {}

    def begins(it: Check) -> None:
        begun.append(it.name)
        if len(begun) == 2:
            both.touch()

    def ended(result: Result) -> None:
        results[result.check.name] = result.passed
        told.touch()

    checks = (
        check("fails", until(both) + "raise SystemExit(1)"),
        check("goes on", until(told)),
        check("never", ""),
        check("waits", "", after=("never",)),
    )
    Lanes(Plan(checks, lanes=2), begins, ended).run()

    assert sorted(begun) == ["fails", "goes on"]
    assert results == {"fails": False, "goes on": True}


def test_a_failure_wakes_who_waits_for_another_check(tmp_path: Path) -> None:
    begun: list[str] = []
    checks = (check("fails", "raise SystemExit(1)"), check("waits", "", after=("fails",)))
    Lanes(Plan(checks, lanes=2), lambda it: begun.append(it.name), lambda _: None).run()

    assert begun == ["fails"]
