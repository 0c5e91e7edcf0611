"""The model card's front matter: what model hubs read, as YAML."""

from collections.abc import Mapping
from typing import Any

from saccade.data.task import Task
from saccade.evaluation.intervals import Estimate
from saccade.reporting.glossary import LEADING, is_baseline, title
from saccade.reporting.markdown import dataset_name, entry, model_name, quoted

_HUB_LICENCES = {
    "apache-2.0", "mit", "bsd-3-clause", "bsd-2-clause", "cc-by-4.0", "cc-by-nc-4.0",
    "cc-by-sa-4.0", "cc0-1.0", "openrail",
}  # fmt: skip
"Identifiers that the hub takes as `license`; any other is written as `other` with its name."


def front_matter(
    run: Mapping[str, Any], task: Task, part: str, judged: Mapping[str, Estimate]
) -> str:
    """Return the YAML block that opens a README.md on a model hub."""
    licence = str(entry(run, "model", "weights").get("licence") or "").lower()
    lines = ["---", "library_name: timm", "tags:", "- image-classification", "- timm", "- saccade"]
    if task.kind in {"binary", "multiclass"}:
        lines.append("pipeline_tag: image-classification")
    if licence in _HUB_LICENCES:
        lines.append(f"license: {licence}")
    elif licence:
        lines += ["license: other", f"license_name: {quoted(licence)}"]
    shown = [n for n in LEADING[task.kind] if n in judged and not is_baseline(n)]
    results = [
        f"    - type: {quoted(name)}\n      name: {quoted(f'{title(name)[0]} ({part})')}\n"
        f"      value: {judged[name].value:.6g}"
        for name in shown
        if judged[name].value == judged[name].value  # a YAML number cannot be undefined
    ]
    if results and not run.get("beside_summary"):  # else the numbers are of copies, too
        lines += ["metrics:", *(f"- {name}" for name in shown)]
        lines += [
            "model-index:",
            f"- name: {quoted(model_name(run))}",
            "  results:",
            "  - task:",
            f"      type: {'other' if task.kind == 'regression' else 'image-classification'}",
            "    dataset:",
            "      type: imagefolder",
            f"      name: {quoted(dataset_name(run))}",
            f"      split: {part}",
            "    metrics:",
            *results,
        ]
    return "\n".join([*lines, "---"])
