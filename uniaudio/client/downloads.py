"""A result on its way to the caller: how far it is, and whether it is what was made."""

from __future__ import annotations

import hashlib

from uniaudio.errors import StoreError
from uniaudio.v1 import jobs_pb2


class Download:
    """Counts and hashes the pieces of a result, over as many calls as it takes."""

    def __init__(self, job_id: str, index: int) -> None:
        self._job_id = job_id
        self._index = index
        self._digest = hashlib.sha256()
        self._result = jobs_pb2.EditResult()
        self._num_bytes = 0

    def request(self) -> jobs_pb2.DownloadEditResultRequest:
        """Asks for what is missing."""
        return jobs_pb2.DownloadEditResultRequest(
            job_id=self._job_id, index=self._index, offset=self._num_bytes
        )

    def take(self, message: jobs_pb2.DownloadEditResultResponse) -> bytes:
        """The next bytes; none for the description."""
        if message.WhichOneof("message") == "result":
            self._result = message.result
            return b""
        content = message.audio.content
        self._digest.update(content)
        self._num_bytes += len(content)
        return content

    def check(self) -> None:
        """Raises StoreError (RESULT_DAMAGED) unless everything arrived as it was made."""
        if self._num_bytes != self._result.size_bytes or self._digest.hexdigest() != self._result.sha256:
            raise StoreError(
                f"{self._num_bytes} bytes of item {self._index} arrived that are not the {self._result.size_bytes} "
                "that were made; download it again, or run the job anew",
                reason="RESULT_DAMAGED",
                value=f"{self._num_bytes} bytes, SHA-256 {self._digest.hexdigest()}",
                limit=f"{self._result.size_bytes} bytes, SHA-256 {self._result.sha256}",
                remedy="download it again, or run the job anew",
            )
