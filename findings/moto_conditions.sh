#!/usr/bin/env bash
# Guess: a mock of S3 that refuses a write by If-None-Match or If-Match with 412 does so in all requests that have them.
# Happened: PutObject, DeleteObject and CompleteMultipartUpload with If-None-Match are refused. CopyObject with either,
#   CompleteMultipartUpload with If-Match, and DeleteObjects with an ETag answer 200 and overwrite or delete.
# Matters: whoever publishes by a conditional copy, or replaces a large object only if it is unchanged, and tests the
#   loser of a race with moto, finds that both win; the documentation of S3 has 412 for each of these.
# Versions: moto 5.2.5, boto3 1.44.8. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install 'moto[s3]==5.2.5' boto3==1.44.8
export AWS_EC2_METADATA_DISABLED=true
observe <<'PY'
import sys
from importlib.metadata import version

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

print(f"moto {version('moto')}, boto3 {version('boto3')}")
print("expected: 412 for all of them")
OTHER = '"00000000000000000000000000000000"'
AT = {"Bucket": "bucket", "Key": "there"}
FROM = {"CopySource": {"Bucket": "bucket", "Key": "other"}}


def complete(s3, **condition):
    upload = s3.create_multipart_upload(**AT)["UploadId"]
    etag = s3.upload_part(**AT, UploadId=upload, PartNumber=1, Body=b"new")["ETag"]
    parts = {"Parts": [{"ETag": etag, "PartNumber": 1}]}
    return s3.complete_multipart_upload(**AT, UploadId=upload, MultipartUpload=parts, **condition)


# name, request, whether it is refused
REQUESTS = [
    ("PutObject, If-None-Match", lambda s3: s3.put_object(**AT, Body=b"new", IfNoneMatch="*"), True),
    ("PutObject, If-Match", lambda s3: s3.put_object(**AT, Body=b"new", IfMatch=OTHER), True),
    ("DeleteObject, If-Match", lambda s3: s3.delete_object(**AT, IfMatch=OTHER), True),
    ("CompleteMultipartUpload, If-None-Match", lambda s3: complete(s3, IfNoneMatch="*"), True),
    ("CompleteMultipartUpload, If-Match", lambda s3: complete(s3, IfMatch=OTHER), False),
    ("CopyObject, If-None-Match", lambda s3: s3.copy_object(**AT, **FROM, IfNoneMatch="*"), False),
    ("CopyObject, If-Match", lambda s3: s3.copy_object(**AT, **FROM, IfMatch=OTHER), False),
    ("DeleteObjects, ETag",
     lambda s3: s3.delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "there", "ETag": OTHER}]}), False),
]


@mock_aws
def look():
    session = boto3.session.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1")
    s3 = session.client("s3")
    s3.create_bucket(Bucket="bucket")
    as_seen = True
    for name, request, refused in REQUESTS:
        s3.put_object(Bucket="bucket", Key="there", Body=b"old")
        s3.put_object(Bucket="bucket", Key="other", Body=b"new")
        try:
            status = request(s3)["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket="bucket")["Contents"]]
        content = s3.get_object(**AT)["Body"].read().decode() if "there" in keys else "nothing"
        print(f"seen: {name}: {status}, {content} is there")
        as_seen &= (status, content == "old") == ((412, True) if refused else (200, False))
    return as_seen


sys.exit(None if look() else "changed: not what the first lines of this script say")
PY
