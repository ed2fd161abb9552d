"""Reporting checklist after CLAIM 2024 and STARD-AI: items, and what the run itself answers.

Sources of the items and their numbers:

- CLAIM: Tejani et al., Checklist for Artificial Intelligence in Medical Imaging (CLAIM): 2024 Update, Radiology:
  Artificial Intelligence 6(4), e240300; 44 items, compared with the published checklist.
- STARD-AI: Sounderajah et al., The STARD-AI reporting guideline for diagnostic accuracy studies using artificial
  intelligence, Nature Medicine 2025, s41591-025-03953-8; 40 items. Numbers are as two independent filled checklists
  give them; the statement itself was not at hand.

The wording is ours and short: it is no substitute for the guidelines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from medanomaly.report import checklist_answers as say
from medanomaly.report import checklist_results as results

Answer = Callable[[Mapping[str, Any]], str | None]


@dataclass(frozen=True)
class Item:
    """One thing to report."""

    claim: str  #: number in CLAIM 2024, "" where it has no such item
    stard: str  #: number in STARD-AI, likewise
    ask: str  #: what to report, in our words
    answer: Answer | None = None  #: what the evidence says; None where it never can
    whole: bool = True  #: whether that answers the item, or only a part


#: Items by section.
ITEMS: dict[str, tuple[Item, ...]] = {
    "Title, abstract, introduction": (
        Item("1", "1", "Name the kind of AI, and a measure of accuracy, in title or abstract", say.model_name, False),
        Item("2", "2", "A structured abstract"),
        Item("3", "3", "Background, intended use, place in the workflow"),
        Item("4", "4", "Aims and hypotheses"),
    ),
    "Design and participants": (
        Item("5", "5", "Prospective or retrospective"),
        Item("6", "", "Goal of the study"),
        Item("", "6", "Approval by an ethics committee, or why none was needed"),
        Item("8", "7", "Criteria of inclusion and exclusion, for participants and for data"),
        Item("", "8", "On what grounds participants were found"),
        Item("", "9", "Where and when they were found"),
        Item("", "10", "A consecutive, random or convenience series"),
    ),
    "Data": (
        Item("7", "11", "Where the data come from", say.source, False),
        Item("13", "13, 14", "Devices and acquisition protocol"),
        Item("9", "14", "How images were prepared", say.reading),
        Item("10", "", "Which subsets were used", say.subset, False),
        Item("11", "", "How data were de-identified"),
        Item("12", "20", "How missing data were handled", say.missing, False),
    ),
    "Reference standard": (
        Item("14", "16a", "How the truth was established", say.masks, False),
        Item("15", "16b", "Why by this standard"),
        Item("", "16c", "Its categories and cut-offs, set before or after"),
        Item("16", "12", "Who annotated, with which experience, and how"),
        Item("17", "", "How the test images were annotated", say.annotated, False),
        Item("18", "", "Agreement between and within annotators"),
        Item("", "17a", "Whether the truth was known to the test under study", say.blind),
        Item("", "17b", "Whether the model's result was known to those who set the truth"),
        Item("", "27", "Time and treatment between the image and the truth"),
    ),
    "Partitions": (
        Item("19", "15b", "How data were divided into training, validation and test", say.partitions),
        Item("20", "", "At which level the parts are disjoint (patient, study, image)", say.disjoint),
        Item("21", "22", "Intended sample size and its reason", say.sample, False),
    ),
    "Model": (
        Item("22", "15a", "The model, in enough detail to repeat it", say.model),
        Item("23", "13", "Software with versions", say.versions),
        Item("24", "", "How parameters were initialised", say.seed, False),
        Item("25", "15b", "How it was trained", say.training),
        Item("26", "", "How the final model was chosen", say.final, False),
        Item("27", "", "Ensembling", say.ensemble),
        Item("", "15c", "The threshold and its reason, set before or after the test", say.threshold),
        Item("", "15d", "Who is to use it, with which expertise"),
    ),
    "Evaluation": (
        Item("28", "18", "Measures of performance", say.measures),
        Item("29", "18", "How uncertainty was estimated", say.intervals),
        Item("30", "21", "Robustness and sensitivity analysis", say.robustness, False),
        Item("31", "", "What makes the model's answer understandable", say.heat, False),
        Item("32", "", "Evaluation on internal data", say.internal),
        Item("33", "29", "Testing on external data, and how these differ"),
        Item("", "19", "How indeterminate results were handled", say.indeterminate),
        Item("34", "36", "Registration of the study"),
    ),
    "Results": (
        Item("35", "24", "Participants and images included and left out, as a flow diagram", results.included, False),
        Item("36", "25", "Demographic, clinical and technical features of each part", results.features, False),
        Item("", "26a, 26b", "Severity of disease; other diagnoses in those without it", results.classes, False),
        Item("", "28", "Whether the data resemble the population of use", results.prevalence, False),
        Item("", "30", "Table of results against the truth", results.table),
        Item("37", "31", "Performance with its uncertainty", results.ranking),
        Item("38", "31", "Diagnostic accuracy with its precision", results.accuracy),
        Item("39", "23", "What was decided wrongly, and for whom; bias and fairness", results.failures, False),
        Item("", "32", "Adverse events"),
    ),
    "Discussion and other information": (
        Item("40", "33", "Limitations", say.limitations, False),
        Item("41", "34", "What it means for practice"),
        Item("", "35", "Ethics and fairness"),
        Item("42", "37", "Where the protocol and further details are", say.protocol, False),
        Item("43", "40a", "Availability of software, model and data", say.available, False),
        Item("", "40b", "Whether outputs are stored and can be audited", say.stored),
        Item("44", "38", "Funding and the funders' role"),
        Item("", "39", "Commercial interests"),
    ),
}


def filled(evidence: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The checklist with what a run's evidence knows.

    Args:
        evidence: The evidence record, completed by :func:`medanomaly.report.page.completed`.

    Returns:
        Sections with ``title`` and ``rows``; a row has ``claim``, ``stard``, ``ask``, ``text`` (None where only the
        authors can say) and ``state``: ``run`` (answered), ``part`` (the authors must add) or ``authors``.
    """
    sections = []
    for title, items in ITEMS.items():
        rows = []
        for item in items:
            text = item.answer(evidence) if item.answer else None
            state = "authors" if not text else "run" if item.whole else "part"
            rows.append({"claim": item.claim, "stard": item.stard, "ask": item.ask, "text": text, "state": state})
        sections.append({"title": title, "rows": rows})
    return sections
