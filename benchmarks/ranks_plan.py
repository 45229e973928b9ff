"""What a step of the 16.8 B model should take on 1 to 64 GPUs: arithmetic from shapes, memory and links.

    python -m benchmarks.ranks_plan

Nothing here is measured; `docs/ranks.md` tells where each number comes from.
"""

from __future__ import annotations

from dataclasses import dataclass

NUM_LAYERS, HIDDEN, NUM_EXPERTS, TOP_K = 28, 2048, 64, 6
EXPERT_WEIGHTS = 3 * HIDDEN * 1408
DENSE_WEIGHTS = NUM_LAYERS * (
    10_485_760 + 3 * HIDDEN * 2816 + NUM_EXPERTS * HIDDEN
)  # attention, shared, router
HEAD_WEIGHTS = 126_464 * HIDDEN
SEMANTIC_WEIGHTS, FLOW_WEIGHTS, FLOW_STEPS = 629_640_000, 104_300_000, 10
FLOW_ROWS = 2 * 12  # history, condition and patch of both guidance branches
NUM_BYTES = 2  # bfloat16, on the wire too

MEMORY = 4.8e12 * 0.6  # bytes per second
ARITHMETIC = 790e12 * 0.5  # operations per second


@dataclass(frozen=True)
class Links:
    """Seconds until the first byte, and bytes per second of one GPU in one direction."""

    latency: float
    bandwidth: float


NVLINK, INFINIBAND = Links(10e-6, 370e9), Links(30e-6, 50e9)
# Of rank 0's host, for each layer as the engine asks today.
ASKING_SECONDS = 150e-6


def experts_met(num_rows: float) -> float:
    """Experts of a layer that so many rows go to, when all are equally likely."""
    return NUM_EXPERTS * (1 - (1 - TOP_K / NUM_EXPERTS) ** num_rows)


def dense_seconds(streams: int) -> float:
    """Of a speech step, all that is no routed expert: semantic module, attention, shared experts, flow head."""
    read = (SEMANTIC_WEIGHTS + DENSE_WEIGHTS + FLOW_STEPS * FLOW_WEIGHTS) * NUM_BYTES / MEMORY
    solving = 2 * FLOW_WEIGHTS * FLOW_ROWS * FLOW_STEPS * streams / ARITHMETIC
    flow_read = FLOW_STEPS * FLOW_WEIGHTS * NUM_BYTES / MEMORY
    return read - flow_read + max(flow_read, solving)


def expert_seconds(rows: float, ranks: int) -> float:
    """All layers' routed experts, spread evenly."""
    return NUM_LAYERS * experts_met(rows) / ranks * EXPERT_WEIGHTS * NUM_BYTES / MEMORY


def asked_bytes(streams: int, ranks: int) -> tuple[float, float]:
    """Bytes that leave rank 0 and come back to it in a step, when it alone runs requests."""
    leaves = (ranks - 1) * streams * (HIDDEN * NUM_BYTES + 4 * TOP_K)
    returns = streams * TOP_K * (ranks - 1) / ranks * HIDDEN * NUM_BYTES
    return NUM_LAYERS * leaves, NUM_LAYERS * returns


def asked_seconds(streams: int, ranks: int, links: Links, *, asking: float) -> float:
    """A step as built: rank 0 runs the requests, all hold experts."""
    if ranks == 1:
        return dense_seconds(streams) + expert_seconds(streams, 1)
    exchange = NUM_LAYERS * (2 * links.latency + asking) + sum(asked_bytes(streams, ranks)) / links.bandwidth
    return dense_seconds(streams) + expert_seconds(streams, ranks) + exchange


def shared_seconds(streams: int, ranks: int, links: Links) -> tuple[float, float]:
    """A step where every rank runs `streams` requests and holds experts for all; and bytes that leave a rank."""
    leaves = NUM_LAYERS * streams * TOP_K * (ranks - 1) / ranks * HIDDEN * NUM_BYTES
    exchange = NUM_LAYERS * 2 * links.latency + 2 * leaves / links.bandwidth
    return dense_seconds(streams) + expert_seconds(streams * ranks, ranks) + exchange, 2 * leaves


def main() -> None:
    """Prints both tables."""
    print(
        "| streams | ranks | MB out / in | ms as asked today | ms without the host's part |\n|---|---|---|---|---|"
    )
    for streams in (1, 8, 32):
        for ranks in (1, 2, 4, 8):
            out, back = (value / 1e6 for value in asked_bytes(streams, ranks))
            today, bare = (
                1000 * asked_seconds(streams, ranks, NVLINK, asking=asking) for asking in (ASKING_SECONDS, 0)
            )
            print(f"| {streams} | {ranks} | {out:.1f} / {back:.1f} | {today:.1f} | {bare:.1f} |")
    print(
        "\n| GPUs | links | streams a GPU | MB a GPU sends | ms | audio s/s a GPU |\n|---|---|---|---|---|---|"
    )
    for streams in (8, 32, 64):
        alone = asked_seconds(streams, 1, NVLINK, asking=0)
        print(f"| 1 | – | {streams} | 0 | {1000 * alone:.1f} | {streams / 10 / alone:.0f} |")
        for ranks, name, links in (
            (8, "NVLink", NVLINK),
            (16, "InfiniBand", INFINIBAND),
            (64, "InfiniBand", INFINIBAND),
        ):
            seconds, sent = shared_seconds(streams, ranks, links)
            print(
                f"| {ranks} | {name} | {streams} | {sent / 1e6:.1f} | {1000 * seconds:.1f} "
                f"| {streams / 10 / seconds:.0f} |"
            )


if __name__ == "__main__":
    main()
