"""Many runs, their statistics, and the evidence that the report quotes."""
