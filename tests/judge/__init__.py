"""The brute-force judge: what a batch job says, written from the contract alone, and worlds to try it on."""
