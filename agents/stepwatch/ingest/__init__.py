"""HTTP in, assurance out (contract section 9)."""
