"""
How much of 350 requests a second and 3500 a minute is used, and how often the server refuses, on five kinds of server.

Run it with ``python benchmarks/rate.py``. The whole client, aiolimiter, pyrate-limiter and a naive backoff meet the
same servers over the same network, with work always waiting. The time is simulated for all of them, so the figures are
the same in every run. What is more than 100 % is the burst at the beginning, which the limits allow.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import attrs
from _clients import AUTO, CLIENTS, SMOOTH, STEADY_RATE, WORKERS, play
from _findings import Chart, Finding, Line, Result, Side, Target
from _rounds import Options, Rounds, take_rounds
from simulation import MODELS

if TYPE_CHECKING:
    from collections.abc import Sequence

BIN: Final = 5.0
SHOWN: Final = "fixed_window"
OURS: Final = (SMOOTH, AUTO)

# "auto" sends bursts until the first refusal. Two of the five servers refuse them: of what is under way then, once.
ALLOWED: Final = ((SMOOTH, 0), (AUTO, 2 * WORKERS))


@attrs.frozen
class Usage:
    """
    What came of one client on one server.

    Attributes:
        share: How much of the steady rate was used, in percent.
        refused: How many requests were refused.
        admitted: Requests a second that were admitted, over time.
    """

    share: float
    refused: int
    admitted: tuple[float, ...]


def measure(client: str, model: str, seconds: float) -> Usage:
    """Let one client meet one server."""
    world = play(client, model, seconds)
    bins = [0] * max(1, int(seconds / BIN))
    for when in world.admitted:
        bins[min(len(bins) - 1, int(when / BIN))] += 1
    share = 100 * len(world.admitted) / (seconds * STEADY_RATE)
    return Usage(share, world.refused, tuple(each / BIN for each in bins))


def table(rounds: dict[str, Rounds[Usage]]) -> list[str]:
    """Return all figures in lines."""
    lines = ["% of the steady rate / 429s", f"{'':32}" + "".join(f"{model:>22}" for model in rounds)]
    for client in CLIENTS:
        cells = [found.measured[client][0] for found in rounds.values() if client not in found.missing]
        lines.append(f"{client:32}" + "".join(f"{each.share:>13.2f} / {each.refused:<6}" for each in cells))
    return lines


def result(rounds: dict[str, Rounds[Usage]]) -> Result:
    """Return the worst share and the sum of the refusals of each client, and where ours are beside the others'."""
    shares, refusals = dict[str, Side](), dict[str, Side]()
    for client in CLIENTS:
        missing = next((found.missing[client] for found in rounds.values() if client in found.missing), None)
        usages = [] if missing else [found.measured[client][0] for found in rounds.values()]
        shares[client] = Side(client, [min(each.share for each in usages)] if usages else [], missing)
        refusals[client] = Side(client, [sum(each.refused for each in usages)] if usages else [], missing)
    share = functools.partial(Finding, question="rate used, worst of five servers", unit="%", exact=True)
    refused = functools.partial(Finding, question="429s, sum of five servers", unit="refusals", exact=True)
    others = [client for client in CLIENTS if client not in OURS]
    findings = [
        *(share(ours=shares[client], target=Target(">=", 99)) for client in OURS),
        *(refused(ours=refusals[client], target=Target("<=", allowed)) for client, allowed in ALLOWED),
        *(share(ours=shares[SMOOTH], theirs=shares[client]) for client in others),
        *(refused(ours=refusals[SMOOTH], theirs=refusals[client]) for client in others),
    ]
    lines = []
    for client in CLIENTS:
        if client not in rounds[SHOWN].missing:
            admitted = rounds[SHOWN].measured[client][0].admitted
            lines.append(Line(client, [BIN * number for number in range(len(admitted))], admitted))
    chart = Chart(
        name="rate",
        title="Requests a second that a server with fixed windows admits",
        x_label="seconds",
        y_label="requests/s",
        lines=lines,
    )
    return Result(script="rate", findings=findings, charts=[chart], notes=table(rounds))


def main(arguments: Sequence[str] | None = None) -> Result:
    """Measure, print, and return the findings."""
    chosen = Options("The rate that is used, and the refusals.", seconds=(300.0, 2.0)).read(arguments)
    rounds = {
        model: take_rounds(
            {client: functools.partial(measure, client, model, chosen.seconds) for client in CLIENTS}, 1, warm_up=False
        )
        for model in MODELS
    }
    found = result(rounds)
    found.publish(chosen)
    return found


if __name__ == "__main__":
    main()
