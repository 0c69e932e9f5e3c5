"""What ``prepare`` says it did: ``report.json``, and a short summary for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seqmelody.corpus.reading import Chunk

_SHOWN_REASONS = 8


@dataclass
class Tally:
    """Sums over the chunks that were read.

    Attributes:
        read: Sources.
        failed: Names of the sources that could not be read, by reason.
        skipped: Names of the melodies left out for their length, by reason.
        lines: How often each kind of line was read.
        changes: What reading and encoding dropped, moved or cut.
    """

    read: int = 0
    failed: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)

    def add(self, chunk: Chunk) -> None:
        """Count a chunk."""
        self.read += chunk.sources
        for names, by_reason in ((chunk.failed, self.failed), (chunk.skipped, self.skipped)):
            for name, reason in names:
                by_reason.setdefault(reason, []).append(name)
        for counts, sums in ((chunk.lines, self.lines), (chunk.changes, self.changes)):
            for name, count in counts.items():
                sums[name] = sums.get(name, 0) + count

    def reasons(self) -> str:
        """Why sources gave no melody, the most frequent reason first, each with an example."""
        by_reason = sorted((self.failed | self.skipped).items(), key=lambda entry: -len(entry[1]))
        return "; ".join(
            f"{names[0]}{_and_others(len(names) - 1)}: {reason}"
            for reason, names in by_reason[:_SHOWN_REASONS]
        )


def count_names(by_reason: Mapping[str, Sequence[str]]) -> int:
    """All names under all reasons."""
    return sum(map(len, by_reason.values()))


def counted(count: int, one: str, many: str | None = None, width: int = 0) -> str:
    """A count and what is counted, in the singular or the plural (``one`` and an s, if not given).

    Args:
        count: How many.
        one: The words for 1.
        many: The words for any other number.
        width: Characters that the number takes at least.
    """
    words = one if count == 1 else many or f"{one}s"
    return f"{count:>{width},} {words}"


def _and_others(count: int) -> str:
    return f" and {counted(count, 'other')}" if count else ""


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """A report in a few lines."""
    duplicates = len(report["duplicates"])
    groups = report["groups"]
    lines = [f"read     {counted(report['read'], 'file', width=9)} in {report['seconds']:.1f} s"]
    kept = counted(report["kept"], "melody", "melodies", width=9)
    lines.append(f"kept     {kept}, {counted(report['notes'], 'note')}")
    for title, by_reason in (("failed", report["failed"]), ("skipped", report["skipped"])):
        if by_reason:
            ordered = sorted(by_reason.items(), key=lambda entry: -len(entry[1]))
            shown = "; ".join(
                # The line begins with the count of a reason that is the only one.
                f"{len(names):,} {reason}" if len(ordered) > 1 else reason
                for reason, names in ordered[:_SHOWN_REASONS]
            )
            more = len(ordered) - _SHOWN_REASONS
            if more > 0:
                shown += f"; and {counted(more, 'other reason')}"
            lines.append(f"{title:<8} {count_names(by_reason):>9,} {shown}")
    if duplicates:
        repeated = counted(
            duplicates, "exact duplicate of another", "exact duplicates of others", width=9
        )
        lines.append(f"repeated {repeated}, left out")
    lines.append(
        f"groups   {groups['count']:>9,} of near-duplicates, the largest of {groups['largest']:,}"
    )
    together = report["together"]
    if together is not None:
        families = counted(together["families"], "family", "families", width=9)
        largest = together["largest"]
        lines.append(
            f"together {families} by {together['column']}, "
            f"{counted(together['joined_groups'], 'group')} joined; the largest block holds "
            f"{counted(largest['melodies'], 'melody', 'melodies')} of "
            f"{counted(largest['families'], 'family', 'families')}"
        )
    sizes = ", ".join(f"{name} {sizes['melodies']:,}" for name, sizes in report["splits"].items())
    lines.append(f"splits   {sizes}")
    labels = report["labels"]
    if labels is not None:
        labelled = counted(labels["melodies"], "melody", "melodies", width=9)
        lines.append(f"labels   {labelled} from {labels['file']} ({', '.join(labels['columns'])})")
        if labels["unmatched"]:
            unmatched = counted(labels["unmatched"], "row names", "rows name", width=9)
            lines.append(
                f"         {unmatched} no file that was read, such as "
                f"{labels['unmatched_names'][0]}"
            )
    return lines
