"""The tables of the jobs' database. Times are seconds since 1970 by the database's own clock."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

USAGE = Table(
    "usage",
    METADATA,
    Column("caller", String(256), primary_key=True),
    Column("num_jobs", Integer, nullable=False, server_default="0"),  # not ended
    Column("num_items", Integer, nullable=False, server_default="0"),  # of those jobs
    Column("num_bytes", BigInteger, nullable=False, server_default="0"),  # of recordings and results
)
"""What each caller takes up, counted in the same transactions that change it."""

RECORDINGS = Table(
    "recordings",
    METADATA,
    Column("recording_id", String(32), primary_key=True),
    Column("caller", String(256), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("encoding", String(16), nullable=False),
    Column("sample_rate", Integer, nullable=False),
    Column("num_channels", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("audio_seconds", Float, nullable=False),
    Column("object_key", String(128), nullable=False),  # empty until it is ready
    Column("state", String(16), nullable=False),  # arriving, ready, leaving
    Column("expires_at", Float, nullable=False),
)
Index(
    "uq_recordings_content",
    *(RECORDINGS.c[name] for name in ("caller", "sha256", "encoding", "sample_rate", "num_channels")),
    unique=True,
    sqlite_where=text("state <> 'leaving'"),
    postgresql_where=text("state <> 'leaving'"),
)
Index("ix_recordings_expires_at", RECORDINGS.c.expires_at)

JOBS = Table(
    "jobs",
    METADATA,
    Column("job_id", String(32), primary_key=True),
    Column("caller", String(256), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("digest", String(64), nullable=False),  # of what was asked for
    Column("state", String(16), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("num_items", Integer, nullable=False),
    Column("num_queued", Integer, nullable=False),
    Column("num_running", Integer, nullable=False),
    Column("num_succeeded", Integer, nullable=False),
    Column("num_failed", Integer, nullable=False),
    Column("num_cancelled", Integer, nullable=False),
    Column("fraction_sum", Float, nullable=False),  # over all items
    Column("result_bytes", BigInteger, nullable=False),
    Column("ttl_seconds", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("expires_at", Float, nullable=False),
    Column("deleted_at", Float),  # invisible from then on; its objects go soon
    Column("purged_at", Float),  # the row stays a while, so that late messages and repeats find it
    UniqueConstraint("caller", "request_id"),
)
Index("ix_jobs_page", JOBS.c.caller, JOBS.c.created_at, JOBS.c.job_id)
Index("ix_jobs_expiry", JOBS.c.expires_at, postgresql_where=JOBS.c.ended_at.is_not(None))
Index("ix_jobs_deleted_at", JOBS.c.deleted_at, postgresql_where=JOBS.c.deleted_at.is_not(None))

ITEMS = Table(
    "items",
    METADATA,
    Column("job_id", ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True),
    Column("item_index", Integer, primary_key=True),
    Column("recording_id", String(32), nullable=False),
    Column("spec", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("step", Integer, nullable=False),
    Column("stage", String(64), nullable=False),
    Column("fraction", Float, nullable=False),
    Column("token", BigInteger, nullable=False),  # grows with every claim; only its holder may write
    Column("holder", String(128), nullable=False),
    Column("leased_until", Float),
    Column("num_attempts", Integer, nullable=False),
    Column("num_crashes", Integer, nullable=False),  # attempts that ended without a word
    Column("dispatch_at", Float, nullable=False),  # when the sweeper sends it (again)
    Column("num_dispatches", Integer, nullable=False),
    Column("retry_at", Float),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("failure", Text),
    Column("steps_done", Text),  # reports and artifact of the chain so far
    Column("result", Text),
)
Index("ix_items_recording_id", ITEMS.c.recording_id)
for _name, _column, _state in (
    ("ix_items_dispatch_at", ITEMS.c.dispatch_at, "queued"),
    ("ix_items_leased_until", ITEMS.c.leased_until, "running"),
):
    _where = text(f"state = '{_state}'")
    Index(_name, _column, sqlite_where=_where, postgresql_where=_where)
