"""Every error that uniaudio raises on purpose, one small tree; imports nothing.

Each message names the value, the limit and the remedy; `reason` is the machine-readable name that
travels in google.rpc.ErrorInfo, `metadata` its details. `uniaudio.runtime.status` maps the tree to
gRPC status codes, looked up along the class order.
"""

from __future__ import annotations


class UniaudioError(Exception):
    """Anything that uniaudio refuses or fails at on purpose."""

    reason = "INTERNAL"
    retryable = False  # whether the same request may work when tried again

    def __init__(self, message: str, *, reason: str | None = None, **metadata: object) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).reason
        self.metadata = {key: str(value) for key, value in metadata.items()}


class InvalidInputError(UniaudioError):
    """The request can never work as it is: the caller must change it."""

    reason = "INVALID_INPUT"


class InvalidAudioError(InvalidInputError):
    """Audio that cannot be read or makes no sense (empty, truncated, not finite, lying header)."""

    reason = "INVALID_AUDIO"


class LimitExceededError(InvalidInputError):
    """Too long, too large, too many: above a stated limit."""

    reason = "LIMIT_EXCEEDED"


class NotFoundError(InvalidInputError):
    """There is no such thing, or it is another caller's."""

    reason = "NOT_FOUND"


class UnknownInstructionError(InvalidInputError):
    """An edit instruction that the asked-for engine cannot carry out."""

    reason = "UNKNOWN_INSTRUCTION"


class PreconditionError(UniaudioError):
    """The state of what is asked about forbids it: not ended yet, ended otherwise, used for something else."""

    reason = "FAILED_PRECONDITION"


class CheckpointError(UniaudioError):
    """A checkpoint or its config is not what the model needs; names the exact key and both shapes."""

    reason = "CHECKPOINT_MISMATCH"


class ModelOutputError(UniaudioError):
    """The model answered something that cannot be used, e.g. an edit without audio."""

    reason = "MODEL_OUTPUT"


class QueueFullError(UniaudioError):
    """A bounded queue is full: try again later, `retry_after_seconds` says when."""

    reason = "QUEUE_FULL"
    retryable = True


class QuotaExceededError(QueueFullError):
    """The caller used what it may use in a span of time; `retry_after_seconds` says when there is more."""

    reason = "QUOTA_EXCEEDED"


class UnauthenticatedError(UniaudioError):
    """Nobody knows who calls: no token, or one that is not known, not valid or no longer."""

    reason = "UNAUTHENTICATED"


class PermissionDeniedError(UniaudioError):
    """The caller is known, and may not do this."""

    reason = "PERMISSION_DENIED"


class DeadlineError(UniaudioError):
    """The work did not end within its deadline."""

    reason = "DEADLINE_EXCEEDED"


class CancelledByCallerError(UniaudioError):
    """The caller went away or cancelled."""

    reason = "CANCELLED"


class UnavailableError(UniaudioError):
    """A service this one needs is away or not ready; trying again may help."""

    reason = "UNAVAILABLE"
    retryable = True


class RankLostError(UnavailableError):
    """A rank that holds experts of the model is gone, does not answer, or has not come yet; `rank` says which."""

    reason = "RANK_LOST"


class StartupError(UniaudioError):
    """A process cannot start: a busy port, a missing package, a full disk, a second start."""

    reason = "STARTUP"


class StoreError(UniaudioError):
    """A store of objects refuses until a person acts: no right to it, no bucket, no space left."""

    reason = "STORE_REFUSED"


class LeaseError(UniaudioError):
    """Somebody else has the sole right to this work; the message says who."""

    reason = "LEASE_HELD"
