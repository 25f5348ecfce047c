"""The page that tells what a demo did: values in, one self-contained HTML file out."""

from videoar.cluster.demo.report.findings import Findings, Judged, Row, StageCost, TokenizerFacts, to_json
from videoar.cluster.demo.report.page import render
from videoar.cluster.demo.report.words import headline

__all__ = ["Findings", "Judged", "Row", "StageCost", "TokenizerFacts", "headline", "render", "to_json"]
