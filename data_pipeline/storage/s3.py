"""What S3 needs beyond fsspec: bounded retries, checked uploads in parts, errors in one line."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from videoar.cluster.ground.errors import InputError, StoreError

PROTOCOLS = ("s3", "s3a")

OPTIONS: dict[str, Any] = {
    "config_kwargs": {"retries": {"mode": "standard", "max_attempts": 9}, "connect_timeout": 10, "read_timeout": 60},
    "use_listings_cache": False,
    "default_cache_type": "none",
}
"""botocore retries throttling, 5xx and broken connections for about half a minute, with exponential back-off and
jitter. Listings are never cached. Endpoint, region and keys come from the standard chain (AWS_ENDPOINT_URL,
AWS_DEFAULT_REGION, the configuration file, the machine's role)."""

_PART_BYTES = 16 << 20
_MOST_PARTS = 9_000
_PARTS_AT_ONCE = 4
_CREDENTIALS = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_ENDPOINT_URL, or the role of this machine"


def put_bytes(fs: Any, path: str, payload: bytes) -> None:
    """One PUT with its MD5, which the server checks."""
    digest = base64.b64encode(hashlib.md5(payload, usedforsecurity=False).digest()).decode()
    bucket, key, _ = fs.split_path(path)
    fs.call_s3("put_object", Bucket=bucket, Key=key, Body=payload, ContentMD5=digest)


def put_file(fs: Any, path: str, local_path: str) -> None:
    """One PUT, or an upload in parts, a few of them in memory; then the store's size and hash are compared."""
    size = os.path.getsize(local_path)
    part = max(_PART_BYTES, -(-size // _MOST_PARTS))
    if size <= part:
        with open(local_path, "rb") as file:
            put_bytes(fs, path, file.read())
        return
    fs.put_file(local_path, path, chunksize=part, max_concurrency=_PARTS_AT_ONCE)
    _check_stored(fs, path, size, _etags(local_path, part))


def abort_uploads(fs: Any, root: str, before_s: float) -> Iterator[str]:
    """Abort uploads in parts below a prefix that were begun before `before_s`; yields bucket and key of each.

    They are invisible, but the store charges for them.
    """
    bucket, prefix, _ = fs.split_path(root)
    marks: dict[str, str] = {}
    while True:
        page = fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=f"{prefix}/" if prefix else "", **marks)
        for upload in page.get("Uploads", ()):
            if upload["Initiated"].timestamp() > before_s:
                continue
            fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
            yield f"{bucket}/{upload['Key']}"
        if not page.get("IsTruncated"):
            return
        marks = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


def _etags(local_path: str, part: int) -> set[str]:
    """The ETags that a store with MD5 may give this file: uploaded whole, or in parts of this size."""
    whole, parts = hashlib.md5(usedforsecurity=False), []
    with open(local_path, "rb") as file:
        while chunk := file.read(part):
            whole.update(chunk)
            parts.append(hashlib.md5(chunk, usedforsecurity=False).digest())
    joined = hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest()
    return {whole.hexdigest(), f"{joined}-{len(parts)}"}


def _check_stored(fs: Any, path: str, size: int, etags: set[str]) -> None:
    """StoreError if size or hash differ from the file's. Encryption with a managed key hides the hash."""
    bucket, key, _ = fs.split_path(path)
    head = fs.call_s3("head_object", Bucket=bucket, Key=key)
    opaque = "SSECustomerAlgorithm" in head or head.get("ServerSideEncryption", "AES256") != "AES256"
    if head["ContentLength"] != size or not (opaque or head["ETag"].strip('"') in etags):
        raise StoreError(f"s3://{path}", "holds other bytes than were sent", "run the same command again")


@contextmanager
def explain_errors(url: str) -> Iterator[None]:
    """InputError for refused credentials and missing buckets, StoreError for a store that does not answer."""
    # Imported here: a machine that keeps everything on its disks trains without botocore.
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise InputError("url", url, "needs credentials, but none were found", _CREDENTIALS) from error
    except PermissionError as error:
        raise InputError("url", url, f"is refused by the store ({error})", _CREDENTIALS) from error
    except FileNotFoundError as error:
        if _code(error) == "NoSuchBucket":
            raise InputError("url", url, "names a bucket that does not exist", "create it first") from error
        raise
    except BotoCoreError as error:
        raise StoreError(url, f"cannot be reached ({error})", "check AWS_ENDPOINT_URL and the store") from error
    except ClientError as error:  # what s3fs does not translate
        raise StoreError(url, f"failed ({error})", "run the same command again") from error
    except OSError as error:
        if isinstance(error, StoreError) or not isinstance(error.__cause__, ClientError):
            raise
        raise StoreError(url, f"failed ({_code(error)}: {error})", "run the same command again") from error


def _code(error: BaseException) -> str:
    """S3's code of an error."""
    response = getattr(error.__cause__, "response", None)  # of botocore's ClientError
    return str(response["Error"].get("Code", "")) if isinstance(response, dict) else ""
