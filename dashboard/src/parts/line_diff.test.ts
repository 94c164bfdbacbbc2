import { describe, expect, it } from "vitest";
import { lineDiff } from "./line_diff";

const drawn = (before: string, after: string): string[] =>
  lineDiff(before, after).map(
    ({ kind, text }) => ({ same: " ", gone: "-", new: "+" })[kind] + text,
  );

describe("lineDiff", () => {
  it.each([
    ["a\nb\nc", "a\nb\nc", [" a", " b", " c"]],
    ["a\nb\nc", "a\nx\nc", [" a", "-b", "+x", " c"]],
    ["a", "a\nb", [" a", "+b"]],
    ["a\nb", "b", ["-a", " b"]],
    ["a\nb\nc\nd", "c\nd\na\nb", ["-a", "-b", " c", " d", "+a", "+b"]],
  ])("leads from %j to %j", (before, after, lines) => {
    expect(drawn(before, after)).toEqual(lines);
  });

  it("gives both texts back", () => {
    const before = "x\ny\nz\ny";
    const after = "y\ny\nq";
    const diff = lineDiff(before, after);
    const side = (out: string) => diff.filter((one) => one.kind !== out).map((one) => one.text);
    expect(side("new").join("\n")).toBe(before);
    expect(side("gone").join("\n")).toBe(after);
  });
});
