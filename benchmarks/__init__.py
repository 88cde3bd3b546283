"""Measurements that decided something: python -m benchmarks."""
