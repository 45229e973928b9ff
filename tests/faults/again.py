"""What real services give where nothing disturbs them, told by the same order made again."""

from __future__ import annotations

from tests.faults.load import Order
from uniaudio.client import AsyncSpeechClient
from uniaudio.client.job_requests import state_of


class Again:
    """Part of a `Place` whose models give the same bits for the same seed."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, int], str] = {}

    async def expected(self, client: AsyncSpeechClient, order: Order, index: int) -> str:
        """See Place; asked once for each order."""
        if (order.request_id, index) not in self._told:
            job = await client.jobs.create(order.items(), request_id=f"{order.request_id}-again")
            done = await client.jobs.wait(job.job_id)
            for item in done.items:
                told = item.result.sha256 if state_of(item) == "succeeded" else item.error.reason
                self._told[order.request_id, item.index] = told
        return self._told[order.request_id, index]
