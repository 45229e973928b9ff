"""What the database and the object store of jobs tell themselves, beside what the program says."""

from __future__ import annotations

import hashlib

import psycopg
from minio import Minio

SEES = """
CREATE TABLE witness (job_id text, item_index int, before text, after text, token bigint);
CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO witness VALUES (NEW.job_id, NEW.item_index, OLD.state, NEW.state, NEW.token); RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER UPDATE ON items FOR EACH ROW
  WHEN (OLD.state IS DISTINCT FROM NEW.state
        AND (OLD.state NOT IN ('queued', 'running') OR NEW.state NOT IN ('queued', 'running')))
  EXECUTE FUNCTION witness();
"""
"""Makes PostgreSQL write down every step of an item into an end, and out of one."""


def endings(database: psycopg.Connection) -> list[tuple[str, int, str]]:
    """What it wrote down: an item's job and index, and the state before."""
    return database.execute("SELECT job_id, item_index, before FROM witness").fetchall()


def still_counted(database: psycopg.Connection, caller: str) -> list[str]:
    """What the caller's account counts, though all of its jobs have ended."""
    rows = database.execute(
        "SELECT num_jobs, num_items FROM usage WHERE caller = %s AND (num_jobs, num_items) <> (0, 0)",
        [caller],
    ).fetchall()
    return [f"{jobs} jobs and {items} items still count, though all have ended" for jobs, items in rows]


def misnamed_results(store: Minio, bucket: str) -> list[str]:
    """Results whose bytes are not those that their names tell."""
    broken = []
    for found in store.list_objects(bucket, recursive=True):
        if "/results/" in found.object_name:
            with store.get_object(bucket, found.object_name) as answer:
                digest = hashlib.sha256(answer.read()).hexdigest()
            if not found.object_name.endswith(f"-{digest}"):
                broken.append(f"{found.object_name} has the hash {digest}")
    return broken
