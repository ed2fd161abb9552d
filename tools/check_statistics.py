"""Check by simulation that intervals cover what they say, and that figures and speed are what the documents say.

    python tools/check_statistics.py [--draws 2000] [--quick] [--jobs 2] [--write]

Prints a table; ``--write`` also writes tools/results/statistics.json. Exit status 1 if a figure is out of bounds. Rows
without bounds stand beside for comparison. About eight minutes on two cores; ``--quick`` takes one: 200 simulated
data sets a case, with bounds that are wider by their noise.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scipy.stats import beta, binom, norm
from sklearn.metrics import average_precision_score, roc_auc_score

from medanomaly.decision.rules import RuleError, choose_threshold
from medanomaly.metrics.bootstrap import GroupBootstrap, Method
from medanomaly.metrics.confusion import Confusion, positive_likelihood_ratio, predictive_values
from medanomaly.metrics.delong import auroc_difference, auroc_interval, hanley_mcneil
from medanomaly.metrics.interval import Z95, wilson
from medanomaly.metrics.ranking import Ranking

OUT = Path(__file__).parent / "results" / "statistics.json"
SIMULATIONS = 10_000  # of conformal calibrations
BOOTSTRAP = 500  # draws of one interval; the report takes 1,000, which only narrows the noise of its ends
#: Simulated data sets a case, and the fewer of ``--quick``.
DRAWS, QUICK = 2000, 200
console = Console()


@dataclass(frozen=True)
class Row:
    """One figure, and the bounds that it must keep."""

    check: str
    case: str
    figure: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def kept(self) -> bool | None:
        """None without bounds."""
        if self.low is None or self.high is None:
            return None
        return bool(self.low <= self.value <= self.high)


def honest(draws: int) -> tuple[float, float]:
    """Honest bounds of the coverage of a 95 % interval, wider by three standard errors where draws are fewer."""
    noise = 3 * max(0.0, np.sqrt(0.95 * 0.05 / draws) - np.sqrt(0.95 * 0.05 / DRAWS))
    return 0.93 - noise, min(1.0, 0.97 + noise)


def shift(auroc: float) -> float:
    """Distance of two unit normal distributions with this AUROC."""
    return float(norm.ppf(auroc) * np.sqrt(2))


def covered(intervals: list[tuple[float, float]], truth: float) -> float:
    """Share of intervals that hold the truth; an undefined one does not."""
    return float(np.mean([low <= truth <= high for low, high in intervals]))


def delong(auroc: float, normal: int, abnormal: int, draws: int) -> list[Row]:
    """Coverage for independent images: the interval in use, DeLong on the plain scale, Hanley and McNeil."""
    rng = np.random.default_rng([1, normal, abnormal, int(1000 * auroc)])
    truth = np.arange(normal + abnormal) < abnormal
    logit, plain, without = [], [], []
    for _ in range(draws):
        one = auroc_interval(rng.normal(size=len(truth)) + shift(auroc) * truth, truth)
        half = Z95 * np.sqrt(one.variance)
        logit.append((one.low, one.high))
        plain.append((one.value - half, one.value + half))
        without.append(hanley_mcneil(one.value, abnormal, normal))
    case = f"AUROC {auroc}, {normal} + {abnormal}"
    # Few images out of order: some intervals are stretched, and cover more than they say.
    few = (1 - auroc) * min(normal, abnormal) < 6
    return [
        Row(
            "AUROC",
            case,
            "DeLong, logit (stretched if few)",
            covered(logit, auroc),
            honest(draws)[0],
            1.0 if few else honest(draws)[1],
        ),
        Row("AUROC", case, "DeLong, plain", covered(plain, auroc)),
        Row("AUROC", case, "Hanley and McNeil, score", covered(without, auroc)),
    ]


def difference(first: float, second: float, correlation: float, each: int, draws: int) -> list[Row]:
    """Coverage of the paired difference, and how often p < 0.05 where there is none."""
    rng = np.random.default_rng([2, each, int(1000 * first), int(1000 * second)])
    truth = np.arange(2 * each) < each
    pairs = []
    for _ in range(draws):
        common, a, b = rng.normal(size=(3, 2 * each))
        x = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * a + shift(first) * truth
        y = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * b + shift(second) * truth
        pairs.append(auroc_difference(x, y, truth))
    case = f"{first} - {second}, {each} + {each}, correlation {correlation}"
    rows = [
        Row("difference", case, "DeLong", covered([(d.low, d.high) for d in pairs], first - second), *honest(draws))
    ]
    if first == second:
        low, high = (1 - bound for bound in reversed(honest(draws)))
        rows.append(Row("difference", case, "share p < 0.05", float(np.mean([d.p < 0.05 for d in pairs])), low, high))
    return rows


def clustered(auroc: float, groups: int, each: int, correlation: float, mixed: bool, draws: int) -> list[Row]:
    """Coverage for images in groups that share a part of their score; labels by group, or mixed within groups."""
    rng = np.random.default_rng([3, groups, each, int(1000 * auroc), int(100 * correlation), mixed])
    group = np.repeat(np.arange(groups), each)
    found: dict[str, list[tuple[float, float]]] = {}
    differences: dict[str, list[tuple[float, float]]] = {}
    for seed in range(draws):
        truth = rng.random(len(group)) < 0.5 if mixed else group < groups // 2
        shared, own, other = (rng.normal(size=size) for size in (groups, len(group), len(group)))
        scores = np.sqrt(correlation) * shared[group] + np.sqrt(1 - correlation) * own + shift(auroc) * truth
        second = np.sqrt(correlation) * shared[group] + np.sqrt(1 - correlation) * other + shift(auroc) * truth
        bootstrap, ranking = GroupBootstrap(group, BOOTSTRAP, seed), Ranking(scores, truth)
        for method, ends in intervals(bootstrap, ranking.auroc, len(group), ("percentile", "student-logit")).items():
            found.setdefault(f"bootstrap, {method}", []).append(ends)
        for name, by in (("DeLong by group", group), ("DeLong, groups unknown", None)):
            one = auroc_interval(scores, truth, by)
            found.setdefault(name, []).append((one.low, one.high))
        if not mixed:
            paired = auroc_difference(scores, second, truth, group)
            differences.setdefault("DeLong by group", []).append((paired.low, paired.high))
            rival = Ranking(second, truth)
            by_draw = partial(_difference, ranking, rival)
            for method, ends in intervals(bootstrap, by_draw, len(group), ("percentile", "student")).items():
                differences.setdefault(f"bootstrap, {method}", []).append(ends)
    case = f"{auroc}, {groups} groups of {each}, ICC {correlation}, labels {'mixed' if mixed else 'by group'}"
    bounded = ("bootstrap, student-logit", "bootstrap, student", "DeLong by group")
    return [
        Row(check, case, name, covered(ends_of_all, at), *(honest(draws) if name in bounded else ()))
        for check, of, at in (("AUROC in groups", found, auroc), ("difference in groups", differences, 0.0))
        for name, ends_of_all in of.items()
    ]


def intervals(
    bootstrap: GroupBootstrap, metric: Callable[[np.ndarray], float], images: int, methods: Sequence[Method]
) -> dict[Method, tuple[float, float]]:
    """What ``bootstrap.interval(metric, method)`` gives for each method, from the same draws, made once."""
    centre = metric(np.ones(images, dtype=np.int64))
    values = bootstrap.values(lambda weights: [metric(weights)])[:, 0]
    return {method: bootstrap.ends(values, centre, method) for method in methods}


def _difference(first: Ranking, second: Ranking, weights: np.ndarray) -> float:
    return first.auroc(weights) - second.auroc(weights)


def clopper_pearson(successes: int, trials: int) -> tuple[float, float]:
    """95 % interval of a proportion that covers at least so often, whatever the truth (Clopper and Pearson 1934)."""
    low = beta.ppf(0.025, successes, trials - successes + 1) if successes else 0.0
    high = beta.ppf(0.975, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


def proportions(trials: int) -> list[Row]:
    """Exact coverage of a proportion's interval, over truths from 0.01 to 0.99: it oscillates, so mean and worst."""
    truths, counts = np.linspace(0.01, 0.99, 981), np.arange(trials + 1)
    rows = []
    for name, interval in (("Wilson", wilson), ("Clopper-Pearson", clopper_pearson)):
        ends = np.array([interval(int(x), trials) for x in counts])
        inside = (ends[:, :1] <= truths) & (truths <= ends[:, 1:])
        coverage = (inside * binom.pmf(counts[:, None], trials, truths)).sum(axis=0)
        bounds = (0.94, 0.965) if name == "Wilson" else (0.95, 1.0)
        rows.append(Row("proportion", f"n = {trials}, mean over truths", name, float(coverage.mean()), *bounds))
        lowest = (None, None) if name == "Wilson" else (0.95, 1.0)
        rows.append(Row("proportion", f"n = {trials}, worst truth", name, float(coverage.min()), *lowest))
    return rows


def two_by_two(sensitivity: float, specificity: float, abnormal: int, normal: int, draws: int) -> list[Row]:
    """Coverage of predictive values at 2 % prevalence and of the positive likelihood ratio."""
    rng = np.random.default_rng([4, abnormal, normal])
    ppv, npv, ratio = [], [], []
    for tp, tn in zip(
        rng.binomial(abnormal, sensitivity, draws), rng.binomial(normal, specificity, draws), strict=True
    ):
        table = Confusion(int(tp), int(normal - tn), int(abnormal - tp), int(tn))
        positive, negative = predictive_values(table, 0.02)
        ppv.append((positive.low, positive.high))
        npv.append((negative.low, negative.high))
        one = positive_likelihood_ratio(table)
        if one.low == one.low:
            ratio.append((one.low, one.high))
    odds = 0.02 / 0.98
    true_ratio = sensitivity / (1 - specificity)
    case = f"sensitivity {sensitivity}, specificity {specificity}, {abnormal} + {normal}"
    true_ppv = true_ratio * odds / (1 + true_ratio * odds)
    true_npv = specificity / (specificity + (1 - sensitivity) * odds)
    return [
        Row("2×2 table", case, "PPV at 2 %", covered(ppv, true_ppv), *honest(draws)),
        Row("2×2 table", case, "NPV at 2 %", covered(npv, true_npv), *honest(draws)),
        Row("2×2 table", case, "likelihood ratio +, where defined", covered(ratio, true_ratio), *honest(draws)),
    ]


def conformal(normal: int, alpha: float) -> list[Row]:
    """Mean false-positive rate over calibrations on normal images alone, known exactly for each threshold."""
    rng = np.random.default_rng([5, normal, int(1000 * alpha)])
    case = f"{normal} normal images, alpha {alpha}"
    try:
        # Scores 0 to n - 1: those above the threshold tell its rank, and so the expected rate.
        above = normal - 1 - choose_threshold("conformal", alpha, np.arange(normal), np.empty(0))
    except RuleError:
        return [Row("conformal", case, "refused: no rate can be kept", 0.0, 0.0, alpha)]
    rates = [
        norm.sf(choose_threshold("conformal", alpha, rng.normal(size=normal), np.empty(0))) for _ in range(SIMULATIONS)
    ]
    error = float(np.std(rates) / np.sqrt(SIMULATIONS))
    return [
        Row(
            "conformal", case, f"mean false-positive rate, ± {error:.5f}", float(np.mean(rates)), 0.0, alpha + 2 * error
        ),
        Row("conformal", case, "expected (theory)", (above + 1) / (normal + 1), 0.0, alpha),
    ]


def equality(cases: int = 1000) -> list[Row]:
    """Largest difference to scikit-learn over random cases, most of them with ties."""
    rng = np.random.default_rng(6)
    worst = {"AUROC": 0.0, "average precision": 0.0, "partial AUROC": 0.0}
    for _ in range(cases):
        n = int(rng.integers(2, 300))
        truth = rng.random(n) < rng.uniform(0.05, 0.95)
        truth[:2] = True, False
        scores = rng.integers(0, int(rng.choice([1, 2, 5, 20, 10_000])), n) * 10.0 ** rng.integers(-5, 6)
        ranking, limit = Ranking(scores, truth), float(rng.uniform(0.01, 1))
        for name, own, theirs in (
            ("AUROC", ranking.auroc(), roc_auc_score(truth, scores)),
            ("average precision", ranking.average_precision(), average_precision_score(truth, scores)),
            ("partial AUROC", ranking.partial_auroc(limit), roc_auc_score(truth, scores, max_fpr=limit)),
        ):
            worst[name] = max(worst[name], abs(own - theirs))
    return [Row("scikit-learn", f"{cases} cases", name, value, 0.0, 1e-9) for name, value in worst.items()]


def speed(number: int, draws: int = 1000) -> list[Row]:
    """CPU seconds of a bootstrap of AUROC, groups of 1 and of 100, and of DeLong; by the fastest tenth of the draws.

    Other work on the machine lengthens CPU seconds too, though less than those of the clock, and the fastest least.
    """
    rng = np.random.default_rng(7)
    truth = rng.random(number) < 0.1
    scores = rng.normal(size=number) + truth
    rows = []
    for name, groups in (("groups of 1", np.arange(number)), ("groups of 100", np.arange(number) // 100)):
        part, ranking = GroupBootstrap(groups, draws // 10), Ranking(scores, truth)
        taken = 10 * min(_seconds(lambda p=part, r=ranking: p.interval(r.auroc, "student-logit")) for _ in range(10))  # type: ignore[misc]
        rows.append(Row("seconds", f"{draws} draws, {number} scores, {name}", "bootstrap", taken, 0, 60))
    return [*rows, Row("seconds", f"{number} scores", "DeLong", _seconds(lambda: auroc_interval(scores, truth)), 0, 60)]


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def jobs(draws: int) -> list[tuple[Callable[..., list[Row]], tuple]]:
    """Every check with its arguments."""
    return [
        *((clustered, (auroc, 40, 10, 0.5, mixed, draws)) for mixed in (False, True) for auroc in (0.75, 0.9)),
        (clustered, (0.9, 40, 10, 0.2, False, draws)),
        (clustered, (0.9, 100, 4, 0.5, False, draws)),
        *((delong, (a, n, m, draws)) for a in (0.7, 0.9, 0.97) for n, m in ((20, 20), (50, 50), (200, 20), (200, 200))),
        *((difference, (*pair, 0.5, each, draws)) for pair in ((0.8, 0.8), (0.9, 0.8)) for each in (30, 100)),
        *((proportions, (n,)) for n in (10, 30, 100, 300)),
        *((two_by_two, (0.85, 0.95, *sizes, draws)) for sizes in ((30, 100), (100, 1000))),
        *((conformal, (n, alpha)) for n in (30, 100, 1000) for alpha in (0.1, 0.05, 0.01)),
        (equality, ()),
    ]


def main() -> int:
    """Run every check, print, and write if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"simulated data sets a case (default: {DRAWS})")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} of them, with bounds wider by their noise")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--write", action="store_true", help=f"write {OUT.relative_to(Path(__file__).parents[1])}")
    args = parser.parse_args()
    draws = QUICK if args.quick else args.draws
    start, todo = time.monotonic(), jobs(draws)
    found: dict[int, list[Row]] = {}
    with Progress(console=console) as progress, ProcessPoolExecutor(args.jobs) as pool:
        bar = progress.add_task("checks", total=len(todo))
        waiting = {pool.submit(check, *arguments): i for i, (check, arguments) in enumerate(todo)}
        for done in as_completed(waiting):
            found[waiting[done]] = done.result()
            progress.advance(bar)
    rows = [row for i in range(len(todo)) for row in found[i]] + speed(100_000 if args.quick else 1_000_000)
    table = Table("check", "case", "figure", "value", "bounds", "", title=f"{draws} simulated data sets a case")
    for row in rows:
        bounds = "" if row.kept is None else f"{row.low:.4g} to {row.high:.4g}"
        table.add_row(
            row.check, row.case, row.figure, f"{row.value:.5g}", bounds, {None: "", True: "ok", False: "OUT"}[row.kept]
        )
    console.print(table)
    broken = [row for row in rows if row.kept is False]
    console.print(f"{len(rows)} figures, {len(broken)} out of bounds, in {time.monotonic() - start:.0f} s")
    if args.write:
        record = {
            "date": date.today().isoformat(),
            "draws": draws,
            "rows": [{**asdict(r), "kept": r.kept} for r in rows],
        }
        OUT.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
