#!/usr/bin/env bash
# Guess: a cluster of EMR that is terminated takes no more steps: AWS answers ValidationException, for it "may not be
#   modified".
# Happened: moto takes the step, the cluster is RUNNING again and no longer listed as terminated.
# Matters: what a program does when its cluster was lost between two steps, as on the spot market, cannot be tested so:
#   the test that it starts another cluster finds that it goes on with the lost one; a test that nothing was left running
#   depends on the order of requests.
# Versions: moto 5.2.5, boto3 1.44.8. Date: 2026-11.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
install 'moto[emr]==5.2.5' boto3==1.44.8
# as moto asks for, so that the service role is found
export AWS_EC2_METADATA_DISABLED=true MOTO_IAM_LOAD_MANAGED_POLICIES=true
observe <<'PY'
import sys
from importlib.metadata import version

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

print(f"moto {version('moto')}, boto3 {version('boto3')}")
print("expected: TERMINATED, a ValidationException, TERMINATED")
STEP = {"Name": "s", "ActionOnFailure": "CONTINUE",
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["true"]}}
NODES = {"MasterInstanceType": "m5.xlarge", "SlaveInstanceType": "m5.xlarge", "InstanceCount": 2,
         "KeepJobFlowAliveWhenNoSteps": True}


@mock_aws
def look():
    session = boto3.session.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="us-east-1")
    emr = session.client("emr")
    cluster = emr.run_job_flow(Name="c", ReleaseLabel="emr-7.12.0", Instances=NODES, JobFlowRole="nodes",
                               ServiceRole="service")["JobFlowId"]

    def state():
        return emr.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["State"]

    emr.terminate_job_flows(JobFlowIds=[cluster])
    before = state()
    try:
        answer = f"{len(emr.add_job_flow_steps(JobFlowId=cluster, Steps=[STEP])['StepIds'])} step added"
    except ClientError as error:
        answer = error.response["Error"]["Code"]
    after, listed = state(), len(emr.list_clusters(ClusterStates=["TERMINATED"])["Clusters"])
    print(f"seen: {before}, {answer}, {after}; listed as terminated: {listed}")
    return (before, answer, after, listed) == ("TERMINATED", "1 step added", "RUNNING", 0)


sys.exit(None if look() else "changed: not what the first lines of this script say")
PY
