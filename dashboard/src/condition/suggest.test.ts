import { describe, expect, it } from "vitest";
import { ALWAYS, pathsIn, suggest } from "./suggest";

const PATHS = [...ALWAYS, "event.data.order", "event.data.owner.name"];
const choices = (text: string) => suggest(text, text.length, PATHS).choices;

describe("suggest", () => {
  it.each([
    ["", ["event", "output", "error"]],
    ["ev", ["event"]],
    ["event.d", ["event.data"]],
    ["event.data.o", ["event.data.order", "event.data.owner"]],
    ["event.data.order == 7 && out", ["output"]],
    ["!er", ["error"]],
    ['event.name == "eve', []],
    ["event.data.order ", ["event", "output", "error"]],
    ["nothing.", []],
    ["event.name.st", ["event.name.startsWith("]],
  ])("after %j", (text, wanted) => {
    expect(choices(text)).toEqual(wanted);
  });

  it("offers what can be done with a field after its fields", () => {
    expect(choices("event.data.owner.")).toEqual([
      "event.data.owner.name",
      ...["startsWith(", "endsWith(", "contains(", "matches(", "size()"].map(
        (name) => `event.data.owner.${name}`,
      ),
    ]);
  });

  it("takes the place of the word before the caret alone", () => {
    const { from, to } = suggest("out == event.na", 3, PATHS);
    expect([from, to]).toEqual([0, 3]);
  });
});

describe("pathsIn", () => {
  it("leads to each field whose name is a word", () => {
    expect(pathsIn("output", { a: { b: 1, "no word": 2 }, c: [{ d: 1 }] })).toEqual([
      "output",
      "output.a",
      "output.a.b",
      "output.c",
    ]);
  });
});
