"""What this package uses of boto3 and of what boto3 stands on; all of it is imported here."""

from __future__ import annotations

from hdfs_layout.errors import UsageError

try:
    import boto3.session
    import botocore.session
    import urllib3.exceptions
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConfigNotFound,
        ConfigParseError,
        HTTPClientError,
        InvalidConfigError,
        NoCredentialsError,
        ParamValidationError,
        PartialCredentialsError,
        ProfileNotFound,
        SSLError,
    )
    from botocore.exceptions import ConnectionError as NoConnectionError
except ImportError as _error:
    raise UsageError(
        f"expected the Python package boto3, which a root on S3 needs; found that {_error.name!r} is not installed. "
        f"Install it: pip install 'mr_ml[s3]'"
    ) from _error

__all__ = [
    "BotoCoreError",
    "ClientError",
    "Config",
    "ConfigNotFound",
    "ConfigParseError",
    "HTTPClientError",
    "InvalidConfigError",
    "NoConnectionError",
    "NoCredentialsError",
    "ParamValidationError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "SSLError",
    "boto3",
    "botocore",
    "urllib3",
]
