import { describe, expect, it } from "vitest";
import { parseExact } from "../../api/exact";
import { sampleOf, wrongBy } from "./schema";

const SCHEMA = {
  type: "object",
  properties: {
    order: { type: "integer" },
    note: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
    kind: { enum: ["gift", "sale"] },
    to: { $ref: "#/$defs/Person" },
  },
  required: ["order", "to"],
  $defs: {
    Person: { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
  },
};

describe("sampleOf", () => {
  it("is a value as the schema describes it", () => {
    expect(sampleOf(SCHEMA)).toEqual({ order: 0, note: null, kind: "gift", to: { name: "" } });
  });

  it("ends where a schema holds itself", () => {
    const tree = { properties: { next: { $ref: "#" } } };
    expect(JSON.stringify(sampleOf(tree)).length).toBeLessThan(200);
  });
});

describe("wrongBy", () => {
  it.each([
    ['{"order": 1, "to": {"name": "Ada"}}', ""],
    ['{"order": 1180591620717411303424, "to": {"name": "Ada"}}', ""],
    ['{"to": {"name": "Ada"}}', "data.order is missing"],
    [
      '{"order": "1", "to": {"name": "A"}}',
      "data.order is a string, where an integer is described",
    ],
    [
      '{"order": 1.5, "to": {"name": "A"}}',
      "data.order is a number, where an integer is described",
    ],
    ['{"order": 1, "to": {}}', "data.to.name is missing"],
    ['{"order": 1, "note": 5, "to": {"name": "A"}}', ""],
    ["[]", "data is an array, where an object is described"],
  ])("of %s is %j", (json, told) => {
    expect(wrongBy(SCHEMA, parseExact(json))).toBe(told);
  });
});
