"""How good it is: what the evaluation measured, as pictures and tables."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from demo.html import charts
from demo.service import Service
from demo.shell.examples import Examples
from demo.shell.theme import html
from omnibind_core.errors import ReportError
from omnibind_core.evaluation.report import read_report

__all__ = ["TITLE", "build", "wire"]

TITLE = "Results"
FILE = "results.json"


@dataclass
class Parts:
    """Components that the wiring needs: none, figures do not change while the page is open."""


def build(service: Service, examples: Examples) -> Parts:
    """Lay the tab out."""
    del examples
    with gr.Column(elem_classes="ob-results-page"):
        try:
            report = read_report(service.folder.parent / FILE)
        except ReportError as error:
            html(charts.missing(error.given, error.action), js=None)
            return Parts()
        html(charts.introduction(report, service.settings.preset), js=None)
        for section in report.sections:
            with gr.Column(elem_classes="ob-result"):
                html(charts.heading(section), js=None)
                if section.chart:
                    html(charts.chart(section), js=None)
                if section.text.strip():
                    gr.Markdown(section.text, elem_classes="ob-result-text")
                html(charts.table(section), js=None)
    return Parts()


def wire(demo: gr.Blocks, tab: gr.Tab, service: Service, parts: Parts) -> None:
    """Nothing happens here."""
    del demo, tab, service, parts
