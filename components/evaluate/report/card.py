"""The model card (Mitchell et al. 2019) as Markdown, from the same figures as the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.common.artifacts.metrics import list_figures
from components.evaluate.report import words
from components.evaluate.report.templating import create_environment

if TYPE_CHECKING:
    from components.evaluate.report.report import Content

FIGURES = (
    ("accuracy", "accuracy"),
    ("top_k.accuracy", "top-k accuracy"),
    ("balanced_accuracy", "balanced accuracy"),
    ("macro.f1", "macro F1"),
    ("weighted.f1", "weighted F1"),
    ("roc_auc", "ROC-AUC, one against the rest"),
    ("average_precision", "average precision, one against the rest"),
    ("log_loss", "log loss"),
    ("brier", "Brier score"),
    ("ece", "calibration error (ECE)"),
)


def render_card(content: Content) -> str:
    """Return the model card."""
    metrics = content.metrics
    values = list_figures(metrics)
    environment = create_environment(is_html=False)
    text: str = environment.get_template("model_card.md.j2").render(
        vars(content)
        | {
            "errors": words.describe_errors(metrics),
            "automation": words.describe_automation(metrics),
            "costs": words.describe_costs(metrics),
            "unknown": words.describe_unknown(metrics),
            "sets": words.describe_sets(metrics),
            "ends": {name: words.say_ends(metrics, name) for name, _ in FIGURES},
            "calibration": words.describe_calibration(metrics),
            "uncalibrated": words.describe_uncalibrated(metrics),
            "scaling": words.describe_scaling(content.card),
            "slices": words.describe_slices(metrics),
            "robustness": words.describe_robustness(metrics) if metrics["robustness"] else "",
            "rivals": [words.describe_rival(rival) for rival in metrics["against"]],
            "figures": [(name, about) for name, about in FIGURES if name in values],
            "values": values,
            "cost": words.describe_cost(metrics["cost"], content.latency),
        }
    )
    return text
