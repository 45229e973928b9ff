"""What is measured: one module per suite, each with `evaluate(bench) -> SuiteResult`."""
