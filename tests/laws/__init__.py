"""The laws of contract section 5, as property tests against the brute-force judge."""
