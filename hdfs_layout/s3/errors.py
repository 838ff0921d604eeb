"""What S3 objects to, as a `StorageError` that says what was found, where, and what to do.

Codes: "Error responses" of the Amazon S3 API reference. What a server writes besides its code is shown only where the
code says too little, printable and cut: it is not ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from hdfs_layout.errors import NotFoundError, StorageError, StoreUnavailableError
from hdfs_layout.s3.boto import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSLError,
)

_INTACT = "Nothing half-written is visible; published versions are intact."
_CREDENTIALS = "Check AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, then run again."
_MESSAGE_LENGTH = 300

_Sentence = tuple[type[StorageError], str, str]
_MISSING: _Sentence = (
    NotFoundError,
    "no such file or folder",
    "Check the name and `root`, and whether it was removed.",
)
_NO_BUCKET: _Sentence = (
    StorageError,
    "no bucket {bucket!r}",
    "Make it (aws s3 mb s3://{bucket}), or choose another `root`.",
)
_DENIED: _Sentence = (
    StorageError,
    "that access is denied",
    "Ask the bucket's owner for s3:ListBucket on {bucket}, and for s3:GetObject, s3:PutObject, s3:DeleteObject and "
    "s3:AbortMultipartUpload below `root`. Without s3:ListBucket S3 says this also of what is missing.",
)
_EXPIRED: _Sentence = (
    StorageError,
    "credentials that have expired or are not valid",
    f"Get new ones (aws sso login, or whatever gave them), then run again. {_INTACT}",
)
_OTHER_REGION: _Sentence = (
    StorageError,
    "that the bucket is in another region{region}",
    "Set AWS_REGION to the bucket's region.",
)
_BUSY: _Sentence = (
    StoreUnavailableError,
    "a store that cannot answer at the moment",
    f"Run again later. {_INTACT}",
)
_CONFLICT: _Sentence = (
    StoreUnavailableError,
    "that others write the same file all the time",
    "Run again when they have ended.",
)
_FILE_AS_FOLDER: _Sentence = (
    StorageError,
    "a file where a folder is needed, or a folder where a file is",
    "Choose another name: this store keeps files in folders.",
)
_NO_CONDITIONS: _Sentence = (
    StorageError,
    "a store that does not know what was asked of it",
    "mr_ml needs conditional writes (If-None-Match: *), as S3 has them; choose another store.",
)
_SENTENCES: dict[str, _Sentence] = {
    "404": _MISSING,
    "NoSuchKey": _MISSING,
    "NoSuchBucket": _NO_BUCKET,
    "403": _DENIED,
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "Forbidden": _DENIED,
    "InvalidAccessKeyId": (StorageError, "an access key that the store does not know", _CREDENTIALS),
    "SignatureDoesNotMatch": (StorageError, "a secret key that does not belong to the access key", _CREDENTIALS),
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidToken": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "RequestTimeTooSkewed": (
        StorageError,
        "that the clocks of this machine and of the store differ",
        "Set this machine's clock.",
    ),
    "301": _OTHER_REGION,
    "PermanentRedirect": _OTHER_REGION,
    "AuthorizationHeaderMalformed": _OTHER_REGION,
    "IllegalLocationConstraintException": _OTHER_REGION,
    "500": _BUSY,
    "503": _BUSY,
    "InternalError": _BUSY,
    "OperationAborted": _BUSY,
    "RequestTimeout": _BUSY,
    "ServiceUnavailable": _BUSY,
    "SlowDown": _BUSY,
    "Throttling": _BUSY,
    "409": _CONFLICT,
    "ConditionalRequestConflict": _CONFLICT,
    "ExistingObjectIsDirectory": _FILE_AS_FOLDER,
    "ObjectParentIsFile": _FILE_AS_FOLDER,
    "NoSuchUpload": (StorageError, "that what was being written was removed meanwhile", f"Run again. {_INTACT}"),
    "KeyTooLongError": (
        StorageError,
        "a name that is too long",
        "Choose a shorter name or a `root` with a shorter path: S3 takes 1,024 bytes together.",
    ),
    "InvalidObjectState": (StorageError, "an archived file", "Restore it (aws s3api restore-object), then run again."),
    "501": _NO_CONDITIONS,
    "NotImplemented": _NO_CONDITIONS,
}
# Of these the code says not enough.
_WITH_MESSAGE = (_DENIED, _BUSY, _FILE_AS_FOLDER, _NO_CONDITIONS)
# What may work when it is asked again.
TRANSIENT = frozenset(code for code, sentence in _SENTENCES.items() if sentence is _BUSY)


def code_of(error: ClientError) -> str:
    """Return S3's word for an error, or its HTTP status where it said nothing, as in answers to HEAD."""
    return str(error.response.get("Error", {}).get("Code") or status_of(error))


def status_of(error: ClientError) -> str:
    """Return the HTTP status."""
    return str(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))


@contextmanager
def errors(doing: str, place: str, *, bucket: str) -> Iterator[None]:
    """Raise a `StorageError` instead of what botocore raises."""
    what = f"could not {doing} {place!r}"
    try:
        yield
    except ClientError as error:
        raise refused(error, what, bucket=bucket) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise StorageError(
            f"{what}: expected credentials of AWS; found none that are complete. Give them as for the aws command: "
            f"AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where there is a role."
        ) from error
    except (NoConnectionError, HTTPClientError) as error:
        raise unanswered(error, what, url=str(error.kwargs.get("endpoint_url") or "")) from error
    except BotoCoreError as error:
        raise _unusable(error, what) from error


def refused(error: ClientError, what: str, *, bucket: str) -> StorageError:
    """Put a refusal into words."""
    code = code_of(error)
    said = error.response.get("Error", {})
    message = _printable(str(said.get("Message", "")))
    known = _SENTENCES.get(code) or (_SENTENCES.get(status_of(error)) if status_of(error) != "404" else None)
    if known is None:
        return StorageError(
            f"{what}: found {_printable(code)}: {message}. See what the store's documentation says of it."
        )
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = _printable(str(said.get("Region") or headers.get("x-amz-bucket-region") or ""))
    category, cause, remedy = known
    shown = f"{_printable(code)}: {message}" if message and known in _WITH_MESSAGE else _printable(code)
    words = {"bucket": bucket, "region": f", {region}" if region else ""}
    return category(f"{what}: found {cause.format(**words)} ({shown}). {remedy.format(**words)}")


def unanswered(error: Exception, what: str, *, url: str = "") -> StoreUnavailableError:
    """Say that nobody answered at that URL, or not to the end. It may be of the service that gives credentials."""
    where = urlsplit(url)
    asked = f"{where.scheme}://{where.netloc.rpartition('@')[2]}" if where.netloc else "S3"
    why = "an encrypted connection that cannot be trusted" if isinstance(error, SSLError) else "none that is whole"
    hint = " (AWS_CA_BUNDLE, for a certificate of your own)" if isinstance(error, SSLError) else ""
    return StoreUnavailableError(
        f"{what}: expected an answer of {asked}; found {why} ({type(error).__name__}). Check AWS_ENDPOINT_URL_S3 and "
        f"AWS_REGION, and that this machine reaches it{hint}; then run again. {_INTACT}"
    )


def _unusable(error: BotoCoreError, what: str) -> StorageError:
    """Say that boto gave up by itself; its words may hold what a program of the user's printed about credentials."""
    if isinstance(error, ParamValidationError):
        return StorageError(f"{what}: found a name that S3 does not take. Choose another one.")
    return StorageError(
        f"{what}: expected credentials and settings of AWS that can be used; found {type(error).__name__}. See whether "
        f"`aws s3 ls` works here."
    )


def _printable(text: Any) -> str:
    line = str(text).strip().partition("\n")[0].strip().rstrip(".")
    return "".join(letter if letter.isprintable() else " " for letter in line)[:_MESSAGE_LENGTH]
