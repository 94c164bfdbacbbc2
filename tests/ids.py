"""Names of parameters that are alike in every process: those that share the suite compare what they
collected by name, so no name may hold an address.
"""

import re

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def steady(value: object) -> str:
    """What `str` says of the value, without the addresses of objects: `ids=steady`."""
    return _ADDRESS.sub("", str(value))


def exact(value: object) -> str:
    """What `repr` says of the value, without the addresses of objects: `ids=exact`."""
    return _ADDRESS.sub("", repr(value))
