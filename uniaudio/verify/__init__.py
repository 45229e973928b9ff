"""Runs golden files, recorded inputs and outputs of a model, against this code; and records new ones."""

from uniaudio.verify.record import record
from uniaudio.verify.report import Row, Verdict, VerifyReport
from uniaudio.verify.run import verify

__all__ = ["Row", "Verdict", "VerifyReport", "record", "verify"]
