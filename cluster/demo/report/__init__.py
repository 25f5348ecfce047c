"""The report page of a demo: values in, one self-contained HTML file out.

`findings` are the values, `words` makes sentences, `charts` and `curves` draw, `page` puts them together.
"""

from videoar.cluster.demo.report.findings import Findings, Judged, Row, StageCost, TokenizerFacts, to_json
from videoar.cluster.demo.report.page import render
from videoar.cluster.demo.report.words import headline

__all__ = ["Findings", "Judged", "Row", "StageCost", "TokenizerFacts", "headline", "render", "to_json"]
