"""Files that people write: YAML whose faults are all said at once, by line and key."""
