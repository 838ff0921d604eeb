"""CSV and its relatives: columns of numbers and categories."""
