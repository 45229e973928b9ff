"""What an S3 store's refusal means to a person."""

from __future__ import annotations

from minio.error import S3Error

from uniaudio.errors import StoreError, UnavailableError, UniaudioError

_KEYS = "check UNIAUDIO_S3_ACCESS_KEY and UNIAUDIO_S3_SECRET_KEY"
_SPACE = "free some, add disks or raise the quota, or keep fewer checkpoints"

# Code of the store -> our reason, what it means, what to do.
_MEANINGS: dict[str, tuple[str, str, str]] = {
    "InvalidAccessKeyId": ("STORE_DENIED", "the access key is unknown", _KEYS),
    "SignatureDoesNotMatch": ("STORE_DENIED", "the secret key is wrong", _KEYS),
    "ExpiredToken": ("STORE_DENIED", "the access key has expired", _KEYS),
    "AccessDenied": (
        "STORE_DENIED",
        "the access key has no right to do so",
        "grant it s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket",
    ),
    "RequestTimeTooSkewed": ("STORE_DENIED", "the clocks disagree", "set the time of this machine"),
    "AuthorizationHeaderMalformed": ("STORE_DENIED", "the region is wrong", "check UNIAUDIO_S3_REGION"),
    "NoSuchBucket": ("STORE_MISSING", "there is no such bucket", "create it, or correct the URL"),
    "NoSuchKey": ("OBJECT_MISSING", "the object is missing", "see who removed it"),
    "XMinioStorageFull": ("STORE_FULL", "no space is left in the store", _SPACE),
    "XMinioAdminBucketQuotaExceeded": ("STORE_FULL", "the bucket's quota is used up", _SPACE),
    "QuotaExceeded": ("STORE_FULL", "the quota is used up", _SPACE),
}


def explain(error: S3Error, deed: str, where: str) -> UniaudioError:
    """Our error for an answer of the store: what was tried, why it was refused, the remedy."""
    status = error.response.status
    if error.code in _MEANINGS:
        reason, meaning, remedy = _MEANINGS[error.code]
        return StoreError(
            f"cannot {deed} {where}: {meaning}; {remedy}",
            reason=reason,
            value=where,
            limit=meaning,
            remedy=remedy,
        )
    said = f"{error.code}, status {status}: {error.message}"
    if status >= 500:
        return UnavailableError(
            f"cannot {deed} {where}: the store is not well ({said}); look at its log, then try again",
            reason="STORE_AWAY",
            value=said,
            limit="a store that is well",
            remedy="look at its log, then try again",
        )
    return StoreError(
        f"cannot {deed} {where}: the store refuses ({said}); look at its log",
        value=said,
        limit="what the store accepts",
        remedy="look at its log",
    )
