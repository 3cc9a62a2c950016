"""Submissions to benchmarks of the community, in one command."""
