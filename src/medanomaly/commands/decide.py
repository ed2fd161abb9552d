"""``medanomaly decide``: another operating point for a tested run or a bundle, without training it again."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from medanomaly.failures import cannot_write, fail
from medanomaly.options import wrong_value


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


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from medanomaly.decision.operating_point_log import DecideError, OperatingPointChange
    from medanomaly.decision.rules import RuleError
    from medanomaly.edge.bundle import CARD, BundleError
    from medanomaly.edge.decide_bundle import decide_bundle
    from medanomaly.evidence.run_layout import RUN

    try:
        if not args.rule and not args.pixel_rule:
            raise DecideError("name a rule with --rule or --pixel-rule.")
        rule = _rule("--rule", args.rule) if args.rule else None
        pixel_rule = _rule("--pixel-rule", args.pixel_rule, "pixels") if args.pixel_rule else None
        change: OperatingPointChange
        if (args.target / CARD).is_file():
            change = decide_bundle(args.target, rule, pixel_rule, args.scores)
        elif (args.target / RUN).is_file():
            warnings.filterwarnings("ignore", category=FutureWarning)
            from medanomaly.runs.decide_run import decide_run

            change = decide_run(args.target, rule, pixel_rule, args.scores)
        else:
            raise DecideError(f"{args.target}: is neither a tested run ({RUN}) nor a bundle ({CARD}).")
    except ImportError as error:
        return fail(f"a run needs the training install ({error}). pip install 'medanomaly[train]'")
    except (DecideError, RuleError, BundleError, ValueError) as error:
        return fail(error)
    except OSError as error:
        return fail(cannot_write(args.target, error, "Nothing was changed: decide on a copy of the folder."))
    if change.nothing:
        print("This is the operating point already; nothing was changed.")
        return 0
    print(change.sentences())
    return 0


def _rule(option: str, text: str, *of: str) -> tuple[str, Any]:
    """A rule and its value, as it was typed.

    Raises:
        OptionError: if it is none; with the nearest name.
    """
    from medanomaly.decision.rules import RULES, RuleError, parse_rule

    try:
        return parse_rule(text, *of)
    except RuleError as error:
        raise wrong_value(option, text, error, () if text.partition(":")[0] in RULES else RULES) from error
