"""Record keys and the partition that a key belongs to (contract section 2)."""

from __future__ import annotations

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The 32-bit murmur2 hash of Kafka's Java client, as an unsigned number.

    Args:
        data: the bytes of a record key.

    Returns:
        0 to 2**32 - 1.
    """
    length = len(data)
    h = _SEED ^ length
    whole = length & ~3
    for i in range(0, whole, 4):
        k = data[i] | data[i + 1] << 8 | data[i + 2] << 16 | data[i + 3] << 24
        k = k * _M & _MASK
        k ^= k >> 24
        k = k * _M & _MASK
        h = h * _M & _MASK ^ k
    rest = length & 3
    if rest == 3:
        h ^= data[whole + 2] << 16
    if rest >= 2:
        h ^= data[whole + 1] << 8
    if rest:
        h ^= data[whole]
        h = h * _M & _MASK
    h ^= h >> 13
    h = h * _M & _MASK
    return h ^ h >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key, as Kafka's default partitioner chooses it (librdkafka: murmur2_random).

    Args:
        key: the record key, not empty.
        partitions: how many partitions the topic has, at least 1.

    Returns:
        0 to partitions - 1.
    """
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def subject_key(tenant: str, subject: str) -> bytes:
    """The key `tenant/subject` of everything that belongs to one subject (subject: the canonical one)."""
    return f"{tenant}/{subject}".encode()
