"""The results page as data: what `make eval` measured, written once as Markdown and as JSON for the application."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from omnibind_core.errors import ReportError

__all__ = ["Cell", "Chart", "Report", "Section", "put_section", "read_report", "spell", "table", "write_report"]

Cell: TypeAlias = str | int | float
Kind: TypeAlias = Literal["bars"]


@dataclass(frozen=True)
class Chart:
    """How a section's rows are drawn; the names are those of columns.

    Attributes
    ----------
    label, value : str
        What a bar is called, and how long it is.
    low, high : str
        The ends of its 95 % interval; empty for none.
    chance : str
        What guessing would give; empty for none.
    kind : {"bars"}
    """

    label: str
    value: str
    low: str = ""
    high: str = ""
    chance: str = ""
    kind: Kind = "bars"


@dataclass(frozen=True)
class Section:
    """One table with what must be said about it.

    Attributes
    ----------
    title : str
    text : str
        Markdown.
    columns : sequence of str
        All different.
    rows : sequence of sequence of str, int or float
        One cell for each column; the columns that a chart draws hold numbers, or "" where there is none.
    chart : Chart or None
        None shows the table alone.

    Raises
    ------
    ReportError
        Cells that do not fit the columns, or a chart of columns that are not there or hold no numbers.
    """

    title: str
    text: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    chart: Chart | None = None

    def __post_init__(self) -> None:
        if len(set(self.columns)) != len(self.columns):
            raise ReportError(f"section '{self.title}' with twice the same column", "different columns", "rename one")
        for row in self.rows:
            if len(row) != len(self.columns) or not all(_is_cell(cell) for cell in row):
                raise ReportError(
                    f"section '{self.title}' with the row {list(row)}",
                    f"{len(self.columns)} texts or finite numbers",
                    "correct the row",
                )
        if self.chart is not None:
            self._check_chart(self.chart)

    def _check_chart(self, chart: Chart) -> None:
        if chart.kind not in get_args(Kind):
            raise ReportError(f"a chart of kind '{chart.kind}'", f"one of {', '.join(get_args(Kind))}", "choose one")
        drawn = [name for name in (chart.value, chart.low, chart.high, chart.chance) if name]
        unknown = [name for name in (chart.label, *drawn) if name not in self.columns]
        if unknown or not chart.value or bool(chart.low) != bool(chart.high):
            raise ReportError(
                f"a chart of the columns {[chart.label, *drawn]} in section '{self.title}'",
                f"a label, a value, and both ends of the interval or none, out of {list(self.columns)}",
                "correct the chart",
            )
        words = [cell for name in drawn for cell in self.column(name) if isinstance(cell, str) and cell]
        if words:
            raise ReportError(f"'{words[0]}' in a chart of section '{self.title}'", "numbers, or ''", "correct it")

    def column(self, name: str) -> list[Cell]:
        """Cells of one column, top to bottom."""
        place = list(self.columns).index(name)
        return [row[place] for row in self.rows]

    def shown(self) -> tuple[list[str], list[list[str]]]:
        """Columns and cells as people read them: the ends of an interval stand behind its value.

        Returns
        -------
        columns : list of str
            Without those of the interval's ends.
        rows : list of list of str
        """
        chart = self.chart
        if chart is None or not chart.low:
            return list(self.columns), [[spell(cell) for cell in row] for row in self.rows]
        value, low, high = (list(self.columns).index(name) for name in (chart.value, chart.low, chart.high))
        kept = [i for i in range(len(self.columns)) if i not in (low, high)]
        rows = []
        for row in self.rows:
            said = [spell(cell) for cell in row]
            if row[low] != "" and row[high] != "":
                said[value] += f" ({said[low]}-{said[high]})"
            rows.append([said[i] for i in kept])
        return [self.columns[i] for i in kept], rows


@dataclass(frozen=True)
class Report:
    """Everything that one run of the evaluation measured.

    Attributes
    ----------
    preset : str
        Whose figures they are.
    date : str
        Day of the run, YYYY-MM-DD.
    command : str
        What prints them again.
    sections : sequence of Section
    """

    preset: str
    date: str
    command: str
    sections: Sequence[Section]

    def to_markdown(self) -> str:
        """Lay it out as a page."""
        parts = [f"# Results of `{self.preset}`", f"Written by `{self.command}` on {self.date}."]
        for section in self.sections:
            parts += [f"## {section.title}", section.text.strip(), table(*section.shown())]
        return "\n\n".join(part for part in parts if part) + "\n"

    def to_json(self) -> str:
        """Write it down for :func:`read_report`."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def write_report(report: Report, markdown: Path | None = None, data: Path | None = None) -> None:
    """Write the page, the data, or both."""
    if markdown is not None:
        markdown.write_text(report.to_markdown(), encoding="utf-8")
    if data is not None:
        data.write_text(report.to_json(), encoding="utf-8")


def put_section(section: Section, markdown: Path, data: Path) -> None:
    """Put one section into a page and its data: in the place of the one that has its title, else before the last one.

    Raises
    ------
    ReportError
        The data cannot be read.
    """
    report = read_report(data)
    titles = [one.title for one in report.sections]
    known = section.title in titles
    at = titles.index(section.title) if known else max(0, len(titles) - 1)
    sections = [*report.sections[:at], section, *report.sections[at + known :]]
    write_report(replace(report, sections=sections), markdown, data)


def read_report(path: Path) -> Report:
    """Read what :meth:`Report.to_json` wrote.

    Raises
    ------
    ReportError
        The file is missing, is no JSON, or is of another form.
    """
    remedy = "write it anew with `make eval`"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"no results at {path} ({error.strerror})", "a report", remedy) from error
    except ValueError as error:
        raise ReportError(f"results {path} that are not JSON ({error})", "a report", remedy) from error
    try:
        sections = [
            Section(
                _text(row["title"]),
                _text(row["text"]),
                [_text(name) for name in row["columns"]],
                row["rows"],
                Chart(**row["chart"]) if row["chart"] else None,
            )
            for row in found["sections"]
        ]
        return Report(_text(found["preset"]), _text(found["date"]), _text(found["command"]), sections)
    except ReportError as error:
        raise ReportError(f"{error.given}, in {path}", error.allowed, remedy) from error
    except (KeyError, TypeError) as error:
        raise ReportError(
            f"results {path} of another form ({type(error).__name__}: {error})",
            "preset, date, command and sections with title, text, columns, rows and chart",
            remedy,
        ) from error


def spell(cell: Cell) -> str:
    """Write a cell as people read it: one digit after the point."""
    return f"{cell:.1f}" if isinstance(cell, float) else str(cell)


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Lay rows out as a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    cells = [[spell(cell).replace("|", r"\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _is_cell(cell: object) -> bool:
    if isinstance(cell, (int, float)):
        return not isinstance(cell, bool) and math.isfinite(cell)
    return isinstance(cell, str)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value
