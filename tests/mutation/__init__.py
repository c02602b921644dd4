"""Mutation tests of the models: one small change at a time, which the project's own checks must notice (docs/mutation.md)."""
