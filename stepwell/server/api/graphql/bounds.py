"""How much one GraphQL question may ask. Pure: a document that was validated in, a sentence out."""

from collections.abc import Mapping
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

TOKENS_MAX: Final = 10_000
DEPTH_MAX: Final = 25
FIELDS_MAX: Final = 20_000
"""So many fields, each counted as often as the lists around it may be long."""
_LISTED: Final = {
    "runs": 40,
    "eventsV2": 40,
    "workerConnections": 40,
    "stream": 20,
    "events": 40,
    "defers": 20,
    "siblingDefers": 20,
}
"""Lists, and how long they are if nobody says."""


def excess(document: DocumentNode, variables: Mapping[str, Any]) -> str:
    """Why the question is too large; empty if it is not."""
    fragments = {
        one.name.value: one
        for one in document.definitions
        if isinstance(one, FragmentDefinitionNode)
    }
    measured = _Measure(fragments, variables)
    for one in document.definitions:
        if isinstance(one, OperationDefinitionNode):
            measured.walk(one.selection_set, 1, 1)
    if measured.depth > DEPTH_MAX:
        return f"the question is over {DEPTH_MAX} levels deep: ask in several"
    if measured.fields > FIELDS_MAX:
        told = "each counted as often as the lists around it may be long"
        return f"the question asks for over {FIELDS_MAX} fields, {told}: ask for fewer, or less"
    return ""


class _Measure:
    """Adds up, and stops where it is too much."""

    def __init__(
        self, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]
    ) -> None:
        self._fragments = fragments
        self._variables = variables
        self.depth = 0
        self.fields = 0

    def walk(self, selections: SelectionSetNode, depth: int, times: int) -> None:
        self.depth = max(self.depth, depth)
        for one in selections.selections:
            if self.depth > DEPTH_MAX or self.fields > FIELDS_MAX:
                return
            if isinstance(one, FieldNode):
                self.fields += times
                if one.selection_set is not None:
                    self.walk(one.selection_set, depth + 1, times * self._length(one))
            elif isinstance(one, InlineFragmentNode):
                self.walk(one.selection_set, depth, times)
            elif isinstance(one, FragmentSpreadNode) and one.name.value in self._fragments:
                self.walk(self._fragments[one.name.value].selection_set, depth, times)

    def _length(self, field: FieldNode) -> int:
        """How long a list may be: what it is asked for, or what it is by itself; 1 elsewhere."""
        named = field.name.value
        for argument in field.arguments or ():
            if argument.name.value == "first":
                value = argument.value
                if isinstance(value, IntValueNode):
                    return max(int(value.value), 1)
                if isinstance(value, VariableNode):
                    given = self._variables.get(value.name.value)
                    return max(given, 1) if isinstance(given, int) else _LISTED.get(named, 1)
        # A run among others has no list of its own but that of an event: those are few.
        return _LISTED.get(named, 1)
