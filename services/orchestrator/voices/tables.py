"""The table of voices, in the jobs' database. Times are seconds since 1970."""

from __future__ import annotations

from sqlalchemy import Column, Float, Integer, String, Table, Text

from services.orchestrator.jobs.tables import METADATA

VOICES = Table(
    "voices",
    METADATA,
    Column("caller", String(256), primary_key=True),
    Column("voice_id", String(63), primary_key=True),
    Column("transcript", Text, nullable=False),
    Column("encoding", String(16), nullable=False),
    Column("sample_rate", Integer, nullable=False),
    Column("num_channels", Integer, nullable=False),
    Column("audio_seconds", Float, nullable=False),
    Column("audio_sha256", String(64), nullable=False),
    Column("given_by", String(200), nullable=False),
    Column("given_at", Float, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("evidence_sha256", String(64), nullable=False),
    Column("consent_expires_at", Float),
    Column("folder", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
)
