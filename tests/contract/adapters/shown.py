"""What docs/frameworks.md says of a contract's class besides its results."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shown:
    """A row of the table: people's name of the framework, our module, the server and its packages.

    `body` is how large a call may be; the contract shows 20 MB everywhere.
    """

    title: str
    module: str
    server: str
    packages: tuple[str, ...]
    body: str = "any"
