"""Counters in Redis, for replicas on many machines: one script per transaction, by the clock of Redis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from uniaudio.runtime.guard.quota import NUM_BUCKETS, Charge, Refused, Taken, store_away, wait_of

_TIMEOUT_SECONDS = 1.0
_PREFIX = "uniaudio:quota:"
# A hash per counter: bucket number to amount. Answers {0, now, bucket, ...} after counting everything, or
# {number of the charge that does not fit, now, bucket, amount, ...} with its use, having counted nothing.
_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local num_buckets = tonumber(ARGV[1])
local buckets = {}
for i, key in ipairs(KEYS) do
  local amount, limit, width = tonumber(ARGV[3*i-1]), tonumber(ARGV[3*i]), tonumber(ARGV[3*i+1])
  local bucket = math.floor(now / width)
  local used, rows = amount, {}
  local pairs = redis.call('HGETALL', key)
  for j = 1, #pairs, 2 do
    if tonumber(pairs[j]) < bucket - num_buckets then
      redis.call('HDEL', key, pairs[j])
    else
      used = used + tonumber(pairs[j+1])
      rows[#rows+1] = pairs[j]
      rows[#rows+1] = pairs[j+1]
    end
  end
  if used > limit then
    return {i, string.format('%.0f', now), unpack(rows)}
  end
  buckets[i] = string.format('%.0f', bucket)
end
for i, key in ipairs(KEYS) do
  redis.call('HINCRBY', key, buckets[i], ARGV[3*i-1])
  redis.call('PEXPIRE', key, math.ceil(tonumber(ARGV[3*i+1]) * (num_buckets + 2) / 1000))
end
return {0, string.format('%.0f', now), unpack(buckets)}
"""
_GIVE_BACK = """
for i, key in ipairs(KEYS) do
  local there = tonumber(redis.call('HGET', key, ARGV[i+1]) or '0')
  if there > 0 then
    redis.call('HINCRBY', key, ARGV[i+1], -math.min(there, tonumber(ARGV[1])))
  end
end
return 0
"""


class RedisCounters:
    """A CounterStore at a `redis://` or `rediss://` address."""

    def __init__(self, url: str) -> None:
        # No retries: a charge whose answer was lost may have been counted, and counting it twice helps nobody.
        self._redis: Any = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._where = url.rpartition("@")[2]  # without the password
        self._take = self._redis.register_script(_TAKE)
        self._give_back = self._redis.register_script(_GIVE_BACK)

    async def take(self, charges: Sequence[Charge]) -> Taken | Refused:
        """Counts all charges, or none where one would exceed its limit."""
        arguments: list[int] = [NUM_BUCKETS]
        for charge in charges:
            arguments += [charge.amount, charge.quota.limit, charge.quota.bucket_microseconds]
        refused, now, *rest = await self._run(self._take, charges, arguments)
        numbers = [int(text) for text in rest]
        if not refused:
            return Taken(charges=tuple(charges), buckets=tuple(numbers))
        charge = charges[int(refused) - 1]
        rows = sorted(zip(numbers[::2], numbers[1::2], strict=True))
        used = sum(amount for _, amount in rows)
        return Refused(charge=charge, used=used, wait_seconds=wait_of(rows, charge, int(now)))

    async def give_back(self, taken: Taken, amount: int) -> None:
        """Takes `amount` out of the buckets of every charge again."""
        await self._run(self._give_back, taken.charges, [amount, *taken.buckets])

    async def close(self) -> None:
        """Closes the connections."""
        await self._redis.aclose()

    async def _run(self, script: Any, charges: Sequence[Charge], arguments: list[int]) -> Any:
        # The braces put all counters of a caller into one slot of a cluster.
        keys = [f"{_PREFIX}{{{charge.caller}}}:{charge.quota.name}" for charge in charges]
        try:
            return await script(keys=keys, args=arguments)
        except (RedisError, OSError) as error:
            raise store_away(self._where, repr(error)) from error
