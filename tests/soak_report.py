"""What a soak did and came by, and measuring the processes and files of it (Linux's /proc)."""

import os
import statistics
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soak_reading import Found
from soak_runs import Tally

# Flat is what is no more in the last third than by this above the second: memory by both.
MOST_GROWTH, MOST_KB, MOST_FILES = 1.15, 10_000, 8
# Seconds after which open files may be judged.
SETTLED = 60


@dataclass
class Series:
    """Measurements of one thing over time."""

    values: list[float] = field(default_factory=list)

    @property
    def middle(self) -> float:
        """The middle of the second third, when all that begins has begun."""
        third = len(self.values) // 3
        return statistics.median(self.values[third : 2 * third] or self.values)

    @property
    def last(self) -> float:
        """The middle of the last third."""
        return statistics.median(self.values[-max(1, len(self.values) // 3) :])

    @property
    def tenths(self) -> list[float]:
        """The middle of each tenth."""
        each = max(1, len(self.values) // 10)
        return [
            statistics.median(self.values[at : at + each])
            for at in range(0, len(self.values), each)
        ]

    def grew(self, most: float) -> bool:
        return self.last - self.middle > most and self.last > MOST_GROWTH * self.middle

    def rose(self, most: float) -> bool:
        """Whether even the least of it grew, for what comes and goes."""
        third = len(self.values) // 3
        return third > 0 and min(self.values[-third:]) - min(self.values[third:-third]) > most


@dataclass
class Report:
    """What a soak did and came by."""

    seed: int
    seconds: float
    tally: Tally = field(default_factory=Tally)
    found: Found = field(default_factory=Found)
    desk: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Series] = field(default_factory=dict)
    """Of processes, in kilobytes."""
    open_files: dict[str, Series] = field(default_factory=dict)
    bytes: dict[str, Series] = field(default_factory=dict)
    """Of files."""
    rounds: int = 0
    """Rounds of the sync that stays, in the one process that nobody stops."""
    left: int = 0
    """Copies that were never whole, of a backup that was killed."""
    problems: list[str] = field(default_factory=list)

    def look(self, pids: Mapping[str, int], files: Mapping[str, Path]) -> None:
        """Measure once."""
        for name, pid in pids.items():
            with suppress(OSError):
                self.memory.setdefault(name, Series()).values.append(resident(pid))
                opened = len(os.listdir(f"/proc/{pid}/fd"))
                self.open_files.setdefault(name, Series()).values.append(opened)
        for name, path in files.items():
            with suppress(OSError):
                self.bytes.setdefault(name, Series()).values.append(path.stat().st_size)

    def judge(self) -> Iterator[str]:
        """What has grown. In a few seconds a program has hardly opened its files by the middle."""
        for name, one in self.memory.items():
            if one.grew(MOST_KB):
                yield f"the memory of {name} grew from {one.middle:,.0f} to {one.last:,.0f} kB"
        for name, one in self.open_files.items() if self.seconds >= SETTLED else ():
            if one.rose(MOST_FILES):
                yield f"the open files of {name} grew to {one.last:,.0f}"

    def lines(self) -> Iterator[str]:
        """For people."""
        tally, desk = self.tally, self.desk
        yield f"seed {self.seed}, {self.seconds:.0f} s"
        yield f"changes: {sum(desk['changes'].values()):,} of {len(desk['changes'])} kinds"
        faults = desk["faults"]
        yield f"faults met: {sum(faults.values()):,} ({counts(faults)})"
        yield f"requests: {desk['requests']:,}, {desk['refused']:,} of them refused"
        yield f"in the end: {desk['issues']:,} issues, {desk['messages']:,} messages"
        yield f"programs: {sum(tally.runs.values()):,} ({counts(tally.runs)})"
        yield f"signals: {counts(tally.signals)}"
        yield f"ended with: {counts(tally.statuses)}"
        if tally.stopping:
            middle, most = statistics.median(tally.stopping), max(tally.stopping)
            yield f"seconds to stop: {middle:.2f} in the middle, {most:.2f} at most"
        yield f"rounds of the sync that stays: {self.rounds:,}"
        pages = self.found.pages
        yield f"pages: {sum(pages.values()):,} ({counts(pages)})"
        yield f"given up after Datasette's limit of a second: {self.found.late}"
        for what, measured in (
            ("kB of memory", self.memory),
            ("open files", self.open_files),
            ("bytes", self.bytes),
        ):
            for name, one in measured.items():
                yield (
                    f"{name}, {what}: {one.middle:,.0f} in the second third, {one.last:,.0f} in"
                    f" the last, {max(one.values):,.0f} at most; by tenths"
                    f" {' '.join(f'{value:,.0f}' for value in one.tenths)}"
                )
        yield f"left by killed backups: {self.left}"
        for said, times in tally.said.most_common():
            yield f"said {times} times: {said}"
        yield f"problems: {len(self.problems)}"
        yield from self.problems


def counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in sorted(numbers.items())) or "none"


def resident(pid: int) -> int:
    """Kilobytes of memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def child_of(pid: int) -> int:
    """The process that a process has started."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
