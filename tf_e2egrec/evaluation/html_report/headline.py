"""Whether the graph helps, in one sentence and the figures behind it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tf_e2egrec.evaluation.sheet import difference_text, number

# What a graph has to be better than, from the plainest to the hardest.
CONTROLS = {
    "R0": "the ranker alone",
    "R1": "the same capacity without neighbours",
    "R5-random-graph": "a random graph of the same degrees",
}
_SEED_ERRORS = 2


class Finding(NamedTuple):
    """The reference model against one control.

    Attributes:
      other: what reports call the control.
      sign: 1 where the reference is better, -1 where it is worse, 0 where the two do not separate.
      why: why they do not separate, or nothing.
      text: difference, interval and error over seeds.
    """

    other: str
    sign: int
    why: str
    text: str


def controls_of(report: Mapping[str, Any]) -> list[str]:
    """The compared models that are controls, by any settings."""
    return [other for other in report["differences"]["overall"] if _variant(other) in CONTROLS]


def finding(other: str, difference: Mapping[str, Any]) -> Finding:
    """Read one paired difference.

    Args:
      other: what the reference is compared with.
      difference: the fields of `paired_differences`.
    """
    value, low, high = (number(difference[name]) for name in ("difference", "low", "high"))
    error, text = number(difference["seed_error"]), difference_text(difference)
    if value is None or low is None or high is None:
        return Finding(other, 0, "no interval is known", text)
    if low <= 0 <= high:
        return Finding(other, 0, "the interval holds 0", text)
    if error is not None and abs(value) <= _SEED_ERRORS * error:
        return Finding(other, 0, "the seeds differ as much", text)
    return Finding(other, 1 if value > 0 else -1, "", text)


def verdict(report: Mapping[str, Any]) -> str:
    """One sentence: whether the reference, a model with a graph, is better in AUC than every control."""
    reference, differences = report["reference"], report["differences"]["overall"]
    if not differences:
        return f"{reference} stands alone: nothing was compared with it."
    if _variant(reference) in CONTROLS:
        what = CONTROLS[_variant(reference)]
        return f"Whether the graph helps cannot be read here: the model of reference, {reference}, is {what}."
    names = controls_of(report)
    if not names:
        return f"Whether the graph helps cannot be read here: no control ({', '.join(CONTROLS)}) was compared with {reference}."
    return _judged(reference, differences, names)


def findings(report: Mapping[str, Any]) -> list[str]:
    """A line per control, AUC and GAUC, and what limits the verdict."""
    reference, differences = report["reference"], report["differences"]["overall"]
    lines = []
    for name in controls_of(report):
        parts = []
        for metric, title in (("auc", "AUC"), ("gauc", "GAUC, within users")):
            one = finding(name, differences[name][metric])
            says = {1: "above", -1: "below", 0: f"does not separate ({one.why})"}[one.sign]
            parts.append(f"{title} {one.text}: {says}")
        lines.append(f"{reference} - {name} ({CONTROLS[_variant(name)]}): {'; '.join(parts)}.")
    missing = [name for name in ("R1", "R5-random-graph") if name not in map(_variant, controls_of(report))]
    if missing and lines and _variant(reference) not in CONTROLS:
        told = _listed([f"{name} ({CONTROLS[name]})" for name in missing])
        lines.append(f"Not compared: {told}. A gain may come from elsewhere than the graph's edges.")
    if lines and any(len(one["seeds"]) == 1 for one in report["models"].values()):
        lines.append("One seed: an interval over users knows nothing of other seeds.")
    return lines


def _judged(reference: str, differences: Mapping[str, Any], names: Sequence[str]) -> str:
    """The sentence about the controls of these names: better than all, worse than all, or neither."""
    found = [finding(name, differences[name]["auc"]) for name in names]
    found.sort(key=lambda one: number(differences[one.other]["auc"]["difference"]) or 0.0)
    hardest, joined = found[0], _listed(names)
    signs = {one.sign for one in found}
    for sign, side in ((1, "above"), (-1, "below")):
        if signs == {sign} and (contradiction := _contradiction(differences, names, sign)):
            return f"AUC and GAUC disagree: {reference} lies {side} {joined} in AUC, but within users (GAUC) {contradiction}."
    if signs == {1}:
        by = f"by {hardest.text}" if len(found) == 1 else f"least above {hardest.other}, by {hardest.text}"
        return f"The graph helps: {reference} lies above {joined} in AUC, {by}."
    if signs == {-1}:
        return f"The graph does harm: {reference} lies below {joined} in AUC, most below {hardest.other}, by {hardest.text}."
    against = min((one for one in found if one.sign <= 0), key=lambda one: one.sign)
    how = (
        f"lies below {against.other} in AUC, by {against.text}"
        if against.sign < 0
        else f"does not separate from {against.other} in AUC, {against.text}: {against.why}"
    )
    return f"It is not shown that the graph helps: {reference} {how}."


def _contradiction(differences: Mapping[str, Any], names: Sequence[str], sign: int) -> str:
    """Where GAUC says the opposite of AUC, whose sign is given; nothing where it does not."""
    for name in names:
        one = finding(name, differences[name]["gauc"])
        if one.sign == -sign:
            return f"{'above' if one.sign > 0 else 'below'} {name}, by {one.text}"
    return ""


def _variant(label: str) -> str:
    return label.partition("@")[0]


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))
