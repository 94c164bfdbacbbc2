import { describe, expect, it } from "vitest";
import { type Json, parseExact, printExact } from "./exact";

describe("parseExact", () => {
  it.each(["1180591620717411303424", "175928847299117063", "-0.0", "1.0", "1e400", "0.1"])(
    "keeps %s as it was written",
    (text) => {
      expect(printExact(parseExact(text))).toBe(text);
    },
  );

  it("reads what is ordinary as ordinary values", () => {
    expect(parseExact('{"a":[1,"b",null,true]}')).toEqual({ a: [1, "b", null, true] });
  });

  it("refuses what is no JSON", () => {
    expect(() => parseExact("{a:1}")).toThrow(SyntaxError);
  });
});

describe("printExact", () => {
  it.each<[Json, string]>([
    [{}, "{}"],
    [[], "[]"],
    [{ a: [1, { b: "x" }] }, '{\n  "a": [\n    1,\n    {\n      "b": "x"\n    }\n  ]\n}'],
  ])("indents by two spaces", (value, text) => {
    expect(printExact(value)).toBe(text);
  });
});
