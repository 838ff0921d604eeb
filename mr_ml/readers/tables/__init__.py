"""Files of records with named, typed columns: Parquet, ORC, Avro, JSON lines; each becomes the CSV text of its rows."""
