"""Measurements, apart from the tests: nothing timed is ever asserted."""
