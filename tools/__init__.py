"""What goes beyond the assignment: the report, the study, predictions, checks of solutions."""
