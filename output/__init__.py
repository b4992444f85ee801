"""What is put out: numbers as they are printed, files that are whole or not there."""
