"""A real request for each service: who answers it right is ready."""

from __future__ import annotations

import asyncio
import functools
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from uniaudio.client import SpeechClient, sampling
from uniaudio.errors import ModelOutputError, UnauthenticatedError, UnavailableError
from uniaudio.stack.plan import StackPlan
from uniaudio.v1 import audio_pb2, llm_pb2

Probe: TypeAlias = Callable[[float], None]
"""Takes the seconds it may use; returns when the service answered rightly, raises a UniaudioError otherwise."""

_SAMPLE_RATE = 16000
_SECONDS = 0.5


def make_probes(plan: StackPlan) -> Mapping[str, Probe]:
    """One probe for each of the plan's services."""
    return {
        "tokenizer": lambda timeout: _ask_tokenizer(plan, timeout),
        "llm": lambda timeout: _runner().run(_ask_llm(plan, timeout)),
        "orchestrator": lambda timeout: _ask_orchestrator(plan, timeout),
        "gateway": lambda timeout: _ask_gateway(plan, timeout),
    }


def get_model(plan: StackPlan, timeout_seconds: float) -> audio_pb2.ModelInfo:
    """The model that is loaded, as the LLM says, which asks nobody for a token."""
    from uniaudio.runtime.llm_client import LlmClient

    async def ask() -> audio_pb2.ModelInfo:
        async with LlmClient(plan.llm) as client:
            return await client.info(timeout=timeout_seconds)

    return _runner().run(ask())


@functools.cache
def _runner() -> asyncio.Runner:
    """One loop for all calls: where each had its own, gRPC's late events would find it closed, and print that."""
    return asyncio.Runner()


def _waveform() -> NDArray[np.float32]:
    """Half a second of something: a quiet, rising tone."""
    seconds = np.arange(int(_SECONDS * _SAMPLE_RATE)) / _SAMPLE_RATE
    return (0.1 * np.sin(2 * np.pi * (200 + 300 * seconds) * seconds)).astype(np.float32)


def _ask_tokenizer(plan: StackPlan, timeout: float) -> None:
    with SpeechClient(tokenizer_address=plan.tokenizer, timeout_seconds=timeout) as client:
        waveform = _waveform()
        decoded = client.decode(client.encode(waveform, sample_rate=_SAMPLE_RATE))
    if len(decoded) != len(waveform) or not np.isfinite(decoded).all():
        raise ModelOutputError(
            f"the tokenizer made {len(decoded)} samples of {len(waveform)}, or some that are not finite; "
            "the checkpoint may be damaged: try `uniaudio verify`"
        )


async def _ask_llm(plan: StackPlan, timeout: float) -> None:
    from uniaudio.runtime.llm_client import LlmClient

    options = llm_pb2.GenerateOptions(
        request_id="warm-up",
        speak=llm_pb2.SpeakTask(text="Hello.", max_patches=2),
        sampling=llm_pb2.SamplingOptions(seed=0, num_solver_steps=1),
    )
    async with LlmClient(plan.llm) as client:
        await client.check_ready(timeout=min(timeout, 5.0))
        async with aclosing(client.generate(options, timeout=timeout)) as events:
            async for _ in events:
                pass


def _ask_orchestrator(plan: StackPlan, timeout: float) -> None:
    token = plan.environment.get("UNIAUDIO_TOKEN", "")
    with SpeechClient(plan.orchestrator, timeout_seconds=timeout, token=token) as client:
        try:
            client.transcribe(_waveform(), sample_rate=_SAMPLE_RATE, request_id="warm-up")
        except UnauthenticatedError:
            return  # it asks for a token that this process has not: its door works, and the models answered before
        speech = client.synthesize(
            "Hello.", sampling=sampling(seed=0, takes=1), request_id="warm-up"
        ).waveform()
    if len(speech) == 0:
        raise ModelOutputError("the orchestrator spoke without a sound; look into its log")


def _ask_gateway(plan: StackPlan, timeout: float) -> None:
    address = f"{plan.gateway}/health/ready"
    try:
        urllib.request.urlopen(address, timeout=timeout).close()
    except (urllib.error.URLError, TimeoutError) as error:
        raise UnavailableError(f"the gateway does not answer at {address} yet: {error}") from error
