"""`python -m benchmarks`: measure this project and its peers in one run, print tables, write JSON."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.case import FULL, QUICK, Outcome
from benchmarks.catalogue import GROUPS, all_cases, select
from benchmarks.machine import machine_facts, use_two_cores
from benchmarks.report import facts_line, text_report, write_json
from benchmarks.rounds import run_rounds
from benchmarks.targets import judge

RESULTS = Path(__file__).parent / "results"
FULL_ROUNDS, QUICK_ROUNDS = 5, 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; gives 0 whatever the figures say, 130 after an interrupt, 2 for a wrong argument."""
    parser = _parser()
    options = parser.parse_args(arguments)
    cases = all_cases(QUICK if options.quick else FULL)
    try:
        chosen = select(cases, options.only)
    except ValueError as error:
        parser.error(str(error))
    if options.list:
        print("\n".join(f"{case.group:8} {case.name:22} {case.tool}" for case in chosen))
        return 0
    return _measure([Outcome(case) for case in chosen], options)


def _measure(outcomes: list[Outcome], options: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a plain kill cleans up, too
    use_two_cores()
    started, facts = datetime.now(UTC), machine_facts()
    exit_code = 0
    try:
        run_rounds(GROUPS, outcomes, options.repeat or (QUICK_ROUNDS if options.quick else FULL_ROUNDS), _say)
    except KeyboardInterrupt:
        _say("interrupted; what was measured until now:")
        exit_code = 130
    verdicts = judge(outcomes)
    print(f"{facts_line(facts)}\n\n{text_report(GROUPS, outcomes, verdicts)}")
    path = options.json or RESULTS / f"{started:%Y%m%dT%H%M%SZ}.json"
    write_json(path, started, facts, outcomes, verdicts)
    print(f"\nevery sample: {path}")
    return exit_code


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: at least one round is needed")
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="little work, one round: does everything run?")
    only = "a group, or the start of a case's name; may be given more than once"
    add("--only", action="append", default=[], metavar="NAME", help=only)
    repeat = f"rounds, so samples of each case (default {FULL_ROUNDS}, with --quick {QUICK_ROUNDS})"
    add("--repeat", type=_positive, metavar="N", help=repeat)
    add("--json", type=Path, metavar="FILE", help="where to write the samples (default: results/TIME)")
    add("--list", action="store_true", help="print the cases and stop")
    return parser


if __name__ == "__main__":
    sys.exit(main())
