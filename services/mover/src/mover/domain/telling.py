"""Moves, plans and reports in words."""

from __future__ import annotations

from mover.domain.moves import Move, MoveState
from mover.domain.reports import Plan, Report


def line_text(line: Move) -> str:
    """Return what became of one file."""
    match line.state:
        case MoveState.MOVED:
            return f"{line.source} -> {line.target}"
        case MoveState.TAGGED:
            return f"{line.source} -> {line.target} (its tag sticks: {line.error})"
        case MoveState.DUPLICATE:
            return f"{line.source}: deleted, {line.target} has the same content"
        case MoveState.REPAIRED:
            return f"{line.target}: its tag is off"
        case MoveState.LEFT:
            return f"{line.source}: stays, {line.reason}"
        case _:
            return f"{line.source}: {line.state.value}"


def report_text(report: Report) -> str:
    """Return what a run came to."""
    counts = {
        "moved": report.moved,
        "already there": report.duplicates,
        "repaired": report.repaired,
        "left with a reason": report.left,
        "failed": report.failed,
        "tags stuck": report.tags_left,
    }
    told = [f"{count} {what}" for what, count in counts.items() if count or what == "moved"]
    files = "1 file" if report.files == 1 else f"{report.files} files"
    return f"{files} unsorted: {', '.join(told)}, in {report.seconds:.1f} s"


def plan_text(plan: Plan) -> str:
    """Return what a run would do."""
    lines = [f"{move.source} -> {move.target}" for move in plan.moves]
    lines += [f"{left.source}: stays, {left.reason}" for left in plan.left]
    files = "1 file" if plan.files == 1 else f"{plan.files} files"
    counts = f"{files} unsorted: {len(plan.moves)} would be moved, {len(plan.left)} left with a reason"
    return "\n".join([*lines, counts])
