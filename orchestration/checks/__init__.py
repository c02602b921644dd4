"""Asset checks that are not dbt tests: the gate's expectations, holds, and freshness."""
