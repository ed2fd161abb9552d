"""``medanomaly decide``: choose another operating point for a tested run or a bundle, without training it again."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medanomaly.commands.common import one_line_errors, training_install
from medanomaly.errors import MedAnomalyError
from medanomaly.failures import cannot_write, fail
from medanomaly.options import wrong_value

if TYPE_CHECKING:
    from medanomaly.decision.operating_point_log import OperatingPointChange

#: A rule and its checked value.
Rule = tuple[str, Any]


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "decide",
        help="give a tested run or a bundle another operating point, without training",
        description="Choose the threshold anew from the validation scores, and rewrite every decision. Old and new are "
        "printed, and appended to decisions.jsonl.",
        epilog="A rule that is chosen after looking at test results is exploratory, and the evidence will say so. "
        "Rules and what they are for: docs/decisions.md. Exit status: 0 done; 2 the rule or the scores do not serve.",
    )
    parser.add_argument("target", type=Path, metavar="RUN|BUNDLE", help="folder of a tested run or of a bundle")
    parser.add_argument("--rule", help="image rule, such as sensitivity:0.95 or cost:miss=10,alarm=1,prevalence=0.02")
    parser.add_argument(
        "--pixel-rule", help="pixel rule, such as quantile:0.99; needs the validation images, in a bundle manual alone"
    )
    parser.add_argument(
        "--scores",
        type=Path,
        default=None,
        help="CSV of raw_score and abnormal (or label) to choose from (default: the scores of the validation images)",
    )
    parser.set_defaults(run=run)


@one_line_errors(ValueError)
def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from medanomaly.decision.operating_point_log import DecideError

    if not args.rule and not args.pixel_rule:
        raise DecideError("name a rule with --rule or --pixel-rule.")
    rule = _rule("--rule", args.rule) if args.rule else None
    pixel_rule = _rule("--pixel-rule", args.pixel_rule, "pixels") if args.pixel_rule else None
    try:
        change = _decide(args.target, rule, pixel_rule, args.scores)
    except MedAnomalyError:  # some are OSErrors too
        raise
    except OSError as error:
        return fail(cannot_write(args.target, error, "Nothing was changed: decide on a copy of the folder."))
    print("The operating point is already this one; nothing changed." if change.unchanged else change.sentences())
    return 0


def _decide(target: Path, rule: Rule | None, pixel_rule: Rule | None, scores: Path | None) -> OperatingPointChange:
    from medanomaly.decision.operating_point_log import DecideError
    from medanomaly.edge.bundle import CARD
    from medanomaly.evidence.run_layout import RUN

    if (target / CARD).is_file():
        from medanomaly.edge.decide_bundle import decide_bundle

        return decide_bundle(target, rule, pixel_rule, scores)
    if (target / RUN).is_file():
        warnings.filterwarnings("ignore", category=FutureWarning)
        with training_install("a run"):
            from medanomaly.runs.decide_run import decide_run

            return decide_run(target, rule, pixel_rule, scores)
    raise DecideError(f"{target}: is neither a tested run ({RUN}) nor a bundle ({CARD}).")


def _rule(option: str, text: str, *of: str) -> Rule:
    """A rule and its value, as it was typed.

    Raises:
        OptionError: if it is none; with the nearest name.
    """
    from medanomaly.decision.rules import RULES, RuleError, parse_rule
    from medanomaly.spec import Spec

    try:
        return parse_rule(text, *of)
    except RuleError as error:
        raise wrong_value(option, text, error, () if Spec.parse(text).name in RULES else RULES) from error
