"""Recordings, jobs, items and usage."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Adds all tables."""
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("caller", sa.String(length=256), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("num_items", sa.Integer(), nullable=False),
        sa.Column("num_queued", sa.Integer(), nullable=False),
        sa.Column("num_running", sa.Integer(), nullable=False),
        sa.Column("num_succeeded", sa.Integer(), nullable=False),
        sa.Column("num_failed", sa.Integer(), nullable=False),
        sa.Column("num_cancelled", sa.Integer(), nullable=False),
        sa.Column("fraction_sum", sa.Float(), nullable=False),
        sa.Column("result_bytes", sa.BigInteger(), nullable=False),
        sa.Column("ttl_seconds", sa.Float(), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("updated_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float()),
        sa.Column("ended_at", sa.Float()),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("deleted_at", sa.Float()),
        sa.Column("purged_at", sa.Float()),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("caller", "request_id", name=op.f("uq_jobs_caller_request_id")),
    )
    op.create_index(
        "ix_jobs_deleted_at", "jobs", ["deleted_at"], postgresql_where=sa.text("deleted_at IS NOT NULL")
    )
    op.create_index(
        "ix_jobs_expiry", "jobs", ["expires_at"], postgresql_where=sa.text("ended_at IS NOT NULL")
    )
    op.create_index("ix_jobs_page", "jobs", ["caller", "created_at", "job_id"])

    op.create_table(
        "recordings",
        sa.Column("recording_id", sa.String(length=32), nullable=False),
        sa.Column("caller", sa.String(length=256), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("encoding", sa.String(length=16), nullable=False),
        sa.Column("sample_rate", sa.Integer(), nullable=False),
        sa.Column("num_channels", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("audio_seconds", sa.Float(), nullable=False),
        sa.Column("object_key", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("recording_id", name=op.f("pk_recordings")),
    )
    op.create_index("ix_recordings_expires_at", "recordings", ["expires_at"])
    op.create_index(
        "uq_recordings_content",
        "recordings",
        ["caller", "sha256", "encoding", "sample_rate", "num_channels"],
        unique=True,
        sqlite_where=sa.text("state <> 'leaving'"),
        postgresql_where=sa.text("state <> 'leaving'"),
    )

    op.create_table(
        "usage",
        sa.Column("caller", sa.String(length=256), nullable=False),
        sa.Column("num_jobs", sa.Integer(), server_default="0", nullable=False),
        sa.Column("num_items", sa.Integer(), server_default="0", nullable=False),
        sa.Column("num_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("caller", name=op.f("pk_usage")),
    )
    op.create_table(
        "items",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("item_index", sa.Integer(), nullable=False),
        sa.Column("recording_id", sa.String(length=32), nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("stage", sa.String(length=64), nullable=False),
        sa.Column("fraction", sa.Float(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=False),
        sa.Column("leased_until", sa.Float()),
        sa.Column("num_attempts", sa.Integer(), nullable=False),
        sa.Column("num_crashes", sa.Integer(), nullable=False),
        sa.Column("dispatch_at", sa.Float(), nullable=False),
        sa.Column("num_dispatches", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.Float()),
        sa.Column("started_at", sa.Float()),
        sa.Column("ended_at", sa.Float()),
        sa.Column("failure", sa.Text()),
        sa.Column("steps_done", sa.Text()),
        sa.Column("result", sa.Text()),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.job_id"], name=op.f("fk_items_job_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("job_id", "item_index", name=op.f("pk_items")),
    )
    op.create_index(
        "ix_items_dispatch_at",
        "items",
        ["dispatch_at"],
        sqlite_where=sa.text("state = 'queued'"),
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_items_leased_until",
        "items",
        ["leased_until"],
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index("ix_items_recording_id", "items", ["recording_id"])
