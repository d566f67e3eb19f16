"""What the doctor has found."""

from __future__ import annotations

from opendtu_dcload.doctor.findings import Finding, Findings, Level


def silent() -> Findings:
    return Findings(lambda _finding: None)


def of(findings: Findings, level: Level) -> list[Finding]:
    return [finding for finding in findings.found if finding.level is level]


def problems(findings: Findings) -> list[str]:
    return [f"{finding.text}: {finding.advice}" for finding in of(findings, Level.PROBLEM)]


def notes(findings: Findings) -> list[str]:
    return [f"{finding.text}: {finding.advice}" for finding in of(findings, Level.NOTE)]
