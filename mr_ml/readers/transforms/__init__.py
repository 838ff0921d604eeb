"""What is made of the columns of a table that are more than a number or a category."""
