"""Tries a version on a server by its own warm-up records, and compares two versions by them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from serving.client.ranking_client import RankingClient
from serving.warmup import WarmupRequest
from tf_e2egrec.errors import E2EGRecError

Answers = Sequence[Mapping[str, np.ndarray]]


class ScoreDifference(NamedTuple):
    """How two versions answer the same requests.

    Attributes:
      maximum, mean: of the absolute differences of all scores.
      scores: how many were compared.
    """

    maximum: float
    mean: float
    scores: int


def probe(
    client: RankingClient, version: int, requests: Sequence[WarmupRequest]
) -> list[dict[str, np.ndarray]]:
    """Send every request to a version.

    Args:
      client: of the server.
      version: its number.
      requests: at least one.

    Returns:
      Arrays by output name, for each request.

    Raises:
      E2EGRecError: there is no request, one failed, or an answer is not finite.
    """
    if not requests:
        raise E2EGRecError(
            f"version {version} has no warm-up records to try it with; export it with `e2egrec export`, which writes some"
        )
    answers = []
    for number, request in enumerate(requests, 1):
        try:
            outputs = client.predict(request.inputs, request.signature, version)
        except E2EGRecError as error:
            raise E2EGRecError(
                f"version {version} did not answer warm-up record {number} ({request.signature}): {error}"
            ) from error
        for name, values in outputs.items():
            if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
                raise E2EGRecError(
                    f"version {version} answers {name} of warm-up record {number} ({request.signature}) with NaN or infinity "
                    f"on {client.target}"
                )
        answers.append(outputs)
    return answers


def score_difference(
    client: RankingClient, version: int, requests: Sequence[WarmupRequest], answers: Answers
) -> ScoreDifference | None:
    """Compare answers with those of another version of the same server.

    Args:
      client: of the server.
      version: the other version.
      requests: as they were sent.
      answers: what came back. Outputs called `score` are compared, or all of floats where a request has none so called.

    Returns:
      The difference, over those requests that the other version answers alike in names and shapes; None where there is none.
    """
    differences = []
    for request, ours in zip(requests, answers, strict=True):
        try:
            theirs = client.predict(request.inputs, request.signature, version)
        except E2EGRecError:  # another signature, for one
            continue
        names = [name for name, values in ours.items() if np.issubdtype(values.dtype, np.floating)]
        for name in ["score"] if "score" in names else names:
            if name in theirs and theirs[name].shape == ours[name].shape:
                differences.append(np.abs(ours[name].astype(np.float64) - theirs[name]).ravel())
    if not sum(map(len, differences)):
        return None
    every = np.concatenate(differences)
    return ScoreDifference(float(every.max()), float(every.mean()), len(every))
