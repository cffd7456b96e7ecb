"""How much of something one asker may have: token buckets, and counts by network address.

Pure: time comes in with each question, nothing here waits.
"""

from tace.limits.addresses import AddressCounts, Admission, address_group, is_loopback
from tace.limits.buckets import BucketTable, TokenBucket
from tace.limits.notices import Notices

__all__ = [
    "AddressCounts",
    "Admission",
    "BucketTable",
    "Notices",
    "TokenBucket",
    "address_group",
    "is_loopback",
]
