"""What tests/cluster says of the chart's objects, asked of the cluster with real pods."""

from __future__ import annotations

from tests.cluster.test_chart import (
    server,
    test_every_object_is_taken,
    test_every_pod_is_let_in,
    test_options_are_taken_too,
)

__all__ = ("server", "test_every_object_is_taken", "test_every_pod_is_let_in", "test_options_are_taken_too")
