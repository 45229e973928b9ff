"""What tests/cluster says of rights, asked of the cluster with real pods."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.conftest import prepare_for_training
from tests.cluster.test_access import test_a_submitter_has_rights_in_one_namespace, test_rights
from tests.pods.real_cluster import RealCluster

__all__ = ("test_a_submitter_has_rights_in_one_namespace", "test_rights")


@pytest.fixture
def namespace(cluster: RealCluster) -> Iterator[str]:
    with cluster.namespace("training") as name:
        prepare_for_training(cluster.api, name)
        yield name
