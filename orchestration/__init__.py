"""Quanyu's orchestration: what runs before, around and after `dbt build`."""
