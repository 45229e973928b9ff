"""ProvenanceService: messages in, messages out."""

from __future__ import annotations

from typing import Any

from services.orchestrator.admission import Admission
from services.orchestrator.provenance.verifying import Agreement, AudioVerifier, Finding
from services.orchestrator.translate import recording, time_range
from uniaudio.runtime.calls import adopt_request_id
from uniaudio.runtime.server import Service
from uniaudio.v1 import provenance_pb2, provenance_pb2_grpc

SERVICE_NAME = "uniaudio.v1.ProvenanceService"
_VERDICTS = {
    Agreement.MISSING: provenance_pb2.MANIFEST_VERDICT_MISSING,
    Agreement.VALID: provenance_pb2.MANIFEST_VERDICT_VALID,
    Agreement.AUDIO_DIFFERS: provenance_pb2.MANIFEST_VERDICT_AUDIO_DIFFERS,
    Agreement.INVALID: provenance_pb2.MANIFEST_VERDICT_INVALID,
    Agreement.UNKNOWN_KEY: provenance_pb2.MANIFEST_VERDICT_UNKNOWN_KEY,
}


class ProvenanceServicer(provenance_pb2_grpc.ProvenanceServiceServicer):
    """Verification on the wire; at most as many at once as `admission` lets in."""

    def __init__(self, verifier: AudioVerifier, admission: Admission) -> None:
        self._verifier = verifier
        self._admission = admission

    async def Verify(
        self, request: provenance_pb2.VerifyRequest, context: Any
    ) -> provenance_pb2.VerifyResponse:
        request_id = adopt_request_id(request.request_id)
        async with self._admission.place():
            finding = await self._verifier.verify(recording(request.audio), request.manifest)
        return verify_response(finding, request_id)

    async def GetKeys(
        self, request: provenance_pb2.GetKeysRequest, context: Any
    ) -> provenance_pb2.GetKeysResponse:
        return provenance_pb2.GetKeysResponse(jwks_json=self._verifier.public_keys())


def provenance_service(verifier: AudioVerifier, admission: Admission) -> Service:
    """ProvenanceService; it needs no neighbour, so it is always ready."""
    servicer = ProvenanceServicer(verifier, admission)
    return Service(
        name=SERVICE_NAME,
        register=lambda server: provenance_pb2_grpc.add_ProvenanceServiceServicer_to_server(servicer, server),
    )


def verify_response(finding: Finding, request_id: str) -> provenance_pb2.VerifyResponse:
    """What is known about a recording."""
    mark, told = finding.watermark, finding.manifest
    return provenance_pb2.VerifyResponse(
        request_id=request_id,
        watermark=provenance_pb2.WatermarkVerdict(
            found=mark.is_marked,
            score=mark.score,
            false_alarm_probability=mark.false_alarm_probability,
            key_id=finding.watermark_key_id,
            ranges=[time_range(*span) for span in mark.spans],
            payload=mark.payload,
        ),
        manifest_verdict=_VERDICTS[told.agreement],
        manifest_detail=told.detail,
        signing_key_id=told.key_id,
        manifest_json=told.manifest.model_dump_json(exclude_none=True) if told.manifest else "",
        generated=[time_range(*span) for span in told.manifest.generated] if told.manifest else (),
    )
