"""Runner ``hadoop``: Hadoop Streaming on a cluster."""
