"""Runner ``emr``: Hadoop Streaming on a cluster that Amazon EMR rents out."""
