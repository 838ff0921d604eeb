"""The store of S3, and of what speaks its protocol, on boto3."""
