"""Hadoop's own store: WebHDFS with high availability, delegation tokens and Kerberos."""
