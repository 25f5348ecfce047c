"""Whether gradients have a size that trains, in every block."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from videoar.cluster.ground.finding import Finding
from videoar.pretrain.diagnose.evidence import ENOUGH, Evidence, median_of


def skipped(evidence: Evidence) -> Iterator[Finding]:
    """Steps whose loss or gradient was not finite, and rewinds after loss spikes."""
    flags = [not record["applied"] for record in evidence.records]
    share, rewinds = sum(flags) / len(flags), sum(event["event"] == "rewind" for event in evidence.events)
    found = f"{sum(flags)} of {len(flags)} steps, {rewinds} rewinds"
    figures = {"skipped": sum(flags), "steps": len(flags), "rewinds": rewinds}
    if share > 0.1 or (len(flags) >= 5 and all(flags[-5:])):
        last = len(flags) - 1 - flags[::-1].index(True)
        state, where = "fail", f", the last at step {evidence.records[last]['step']}"
    elif share > 0.01 or rewinds:
        state, where = "warn", ""
    else:
        yield Finding(name="skipped steps", state="ok", found=found, figures=figures)
        return
    yield Finding(
        name="skipped steps",
        state=state,  # type: ignore[arg-type]
        found=found + where,
        figures=figures,
        remedy="lower stages.NAME.learning_rate; events.jsonl names the samples of each skipped step, and "
        "`videoar data verify` checks them",
    )


def norm(evidence: Evidence) -> Iterator[Finding]:
    """The norm of the whole gradient now, compared with the first steps after the warm-up."""
    name, steps = "gradient norm", [record for record in evidence.trained if record["applied"]]
    if len(steps) < ENOUGH:
        yield Finding(name=name, state="skip", found=f"{len(steps)} applied steps after the warm-up")
        return
    before, now = median_of(steps[: max(5, len(steps) // 10)], "grad_norm"), median_of(evidence.recent, "grad_norm")
    if before is None or now is None:
        when = "now" if now is None else "after the warm-up"
        yield Finding(name=name, state="fail", found=f"is not finite {when}", remedy="see the line `skipped steps`")
        return
    clip = evidence.recipe.optimizer.clip_norm
    limit = "not clipped" if clip is None else f"clipped to {clip:g}"
    found, figures = f"{now:.2g} now, {before:.2g} after the warm-up, {limit}", {"now": now, "then": before}
    usual = max(before, clip or 0.0)
    if now > 100 * usual:
        yield Finding(
            name=name,
            state="fail",
            found=f"{found}: it explodes",
            figures=figures,
            remedy="resume from an earlier checkpoint with half the learning rate",
        )
    elif now > 10 * usual:
        yield Finding(
            name=name,
            state="warn",
            found=f"{found}: it grows",
            figures=figures,
            remedy="lower the learning rate before it diverges",
        )
    elif now < 1e-6:
        yield Finding(
            name=name,
            state="fail",
            found=f"{found}: it vanishes",
            figures=figures,
            remedy="check for a constant head or frozen weights",
        )
    else:
        yield Finding(name=name, state="ok", found=found, figures=figures)


def by_block(evidence: Evidence) -> Iterator[Finding]:
    """Name the blocks without a gradient, and those with a hundred times that of the others."""
    name, recorded = "by block", [record["grad_norm_by_block"] for record in evidence.recent if record["applied"]]
    recorded = [norms for norms in recorded if norms]
    if not recorded:
        yield Finding(name=name, state="skip", found="no norms by block were recorded")
        return
    norms = {block: median([one.get(block) or 0.0 for one in recorded]) for block in recorded[-1]}
    middle = median([value for block, value in norms.items() if block.startswith("block_")])
    dead = [block for block, value in norms.items() if value < 1e-4 * middle]
    loud = [block for block, value in norms.items() if block.startswith("block_") and value > 100 * middle]
    figures = {"grad_norm_by_block": norms}
    if dead or middle == 0:
        yield Finding(
            name=name,
            state="fail",
            found=f"no gradient in {', '.join(dead) or 'any block'}",
            figures=figures,
            remedy="check for frozen or constant weights there, and for an input that is always 0",
        )
    elif loud:
        yield Finding(
            name=name,
            state="warn",
            found=f"{', '.join(loud)}: more than 100 times the median of the blocks, {middle:.2g}",
            remedy="lower the learning rate before this block makes the loss diverge",
            figures=figures,
        )
    else:
        low, high = min(norms, key=norms.__getitem__), max(norms, key=norms.__getitem__)
        found = f"{norms[low]:.2g} ({low}) to {norms[high]:.2g} ({high})"
        yield Finding(name=name, state="ok", found=found, figures=figures)
