#!/usr/bin/env bash
# Guess: a presigned URL of get_object(Range="bytes=0-9") is good for these ten bytes: the header is among the signed
#   ones in every region, or the call refuses the parameter.
# Happened: so it is in regions that came after 2014 (eu-central-1). In older ones (us-east-1, us-west-2, eu-west-1) the
#   URL is signed by the old scheme, and the range is gone without a word: it is a URL of the whole object.
# Matters: whoever hands out parts of a file, or reads one in parallel by such URLs without a Range header of his own,
#   gives and gets the whole; by the region of the bucket, so that what was tried in one works otherwise in another.
#   Config(signature_version="s3v4") makes all alike.
# Versions: boto3 1.44.8, botocore 1.44.8. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install boto3==1.44.8 botocore==1.44.8
export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE="$work/none" AWS_SHARED_CREDENTIALS_FILE="$work/none"
observe <<'PY'
import sys
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore.config import Config

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1")


def signs_range(region, config=None):
    session = boto3.session.Session(aws_access_key_id="key", aws_secret_access_key="secret", region_name=region)
    asked = {"Bucket": "bucket", "Key": "object", "Range": "bytes=0-9"}
    url = session.client("s3", config=config).generate_presigned_url("get_object", Params=asked, ExpiresIn=60)
    query = parse_qs(urlsplit(url).query)
    return "range" in query.get("X-Amz-SignedHeaders", [""])[0].split(";")


print(f"boto3 {version('boto3')}; expected: the range is signed in all regions")
plain = {region: signs_range(region) for region in REGIONS}
told = {region: signs_range(region, Config(signature_version="s3v4")) for region in REGIONS}
print("signed by default:", plain)
print("signed with s3v4:", told)
if plain != {region: region == "eu-central-1" for region in REGIONS} or not all(told.values()):
    sys.exit("changed: not what the first lines of this script say")
PY
