"""The events of this project, typed. Written by `stepwell events`; do not edit."""

# ruff: noqa
from __future__ import annotations

import json
from typing import Any, Literal, NotRequired, TypedDict

from stepwell import Cancel, Event, EventSchemas, Inngest, TriggerEvent, event_type

EVENTS: dict[str, Any] = json.loads(
    r"""{
 "shop/any": {},
 "shop/tree": {
  "data": {
   "$defs": {
    "Tree": {
     "properties": {
      "children": {
       "default": [],
       "items": {
        "$ref": "#/$defs/Tree"
       },
       "title": "Children",
       "type": "array"
      }
     },
     "title": "Tree",
     "type": "object"
    }
   },
   "$ref": "#/$defs/Tree"
  }
 },
 "user/created": {
  "data": {
   "$defs": {
    "Address": {
     "properties": {
      "floor": {
       "anyOf": [
        {
         "type": "integer"
        },
        {
         "type": "null"
        }
       ],
       "default": null,
       "title": "Floor"
      },
      "street": {
       "title": "Street",
       "type": "string"
      }
     },
     "required": [
      "street"
     ],
     "title": "Address",
     "type": "object"
    }
   },
   "description": "Somebody signed up.",
   "properties": {
    "address": {
     "anyOf": [
      {
       "$ref": "#/$defs/Address"
      },
      {
       "type": "null"
      }
     ],
     "default": null
    },
    "id": {
     "title": "Id",
     "type": "string"
    },
    "name": {
     "title": "Name",
     "type": "string"
    }
   },
   "required": [
    "id",
    "name"
   ],
   "title": "Created",
   "type": "object"
  }
 },
 "user/deleted": {
  "data": {
   "properties": {
    "id": {
     "title": "Id",
     "type": "string"
    },
    "why": {
     "title": "Why",
     "type": "string"
    }
   },
   "required": [
    "id"
   ],
   "title": "Deleted",
   "type": "object"
  },
  "user": {
   "properties": {
    "floor": {
     "anyOf": [
      {
       "type": "integer"
      },
      {
       "type": "null"
      }
     ],
     "default": null,
     "title": "Floor"
    },
    "street": {
     "title": "Street",
     "type": "string"
    }
   },
   "required": [
    "street"
   ],
   "title": "Address",
   "type": "object"
  }
 }
}"""
)
"""What the data of each event must be, as JSON Schema."""

Client = Inngest
schemas = EventSchemas().from_generated(EVENTS)
"""The same, for the argument `schemas` of a client."""


class Tree(TypedDict):
    """The data of an event."""

    children: NotRequired[list[Tree]]


class Address(TypedDict):
    """The data of an event."""

    street: str
    floor: NotRequired[int | None]


class Created(TypedDict):
    """Somebody signed up."""

    id: str
    name: str
    address: NotRequired[Address | None]


class Deleted(TypedDict):
    """The data of an event."""

    id: str
    why: NotRequired[str]


ShopAny = Event
ShopAnyPayload = dict
shop_any = event_type("shop/any", schema=schemas.validator("shop/any"))
ShopTree = Event
ShopTreePayload = dict
shop_tree = event_type("shop/tree", schema=schemas.validator("shop/tree"))
UserCreated = Event
UserCreatedPayload = dict
user_created = event_type("user/created", schema=schemas.validator("user/created"))
UserDeleted = Event
UserDeletedPayload = dict
user_deleted = event_type("user/deleted", schema=schemas.validator("user/deleted"))

__all__ = [
    "Address",
    "Cancel",
    "Client",
    "Created",
    "Deleted",
    "EVENTS",
    "Event",
    "ShopAny",
    "ShopAnyPayload",
    "ShopTree",
    "ShopTreePayload",
    "Tree",
    "TriggerEvent",
    "UserCreated",
    "UserCreatedPayload",
    "UserDeleted",
    "UserDeletedPayload",
    "schemas",
    "shop_any",
    "shop_tree",
    "user_created",
    "user_deleted",
]
