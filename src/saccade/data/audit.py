"""What a person should know about the data before anything is learned from it."""

from saccade.data.catalog import Catalog, Finding
from saccade.data.duplicates import duplicate_findings
from saccade.data.split import Split
from saccade.data.task import Task


def look(catalog: Catalog, task: Task, split: Split | None = None) -> tuple[Finding, ...]:
    """Return everything found, the severe first."""
    del task, split
    findings = [*catalog.findings, *duplicate_findings(catalog)]
    rank = {"severe": 0, "warning": 1, "note": 2}
    return tuple(sorted(findings, key=lambda finding: rank[finding.severity]))
