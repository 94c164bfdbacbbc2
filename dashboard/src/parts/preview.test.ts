import { expect, it } from "vitest";
import { parseExact } from "../api/exact";
import { preview } from "./preview";

it("is the JSON of a small value, its numbers as they are stored", () => {
  const text = '{"order":1180591620717411303424,"of":[1,true,null,{"a":"é"}],"none":{}}';
  expect(preview(parseExact(text))).toBe(text);
});

it("shortens texts, and looks at no more than is shown", () => {
  expect(preview("x".repeat(90))).toBe(`"${"x".repeat(80)}…"`);
  let looked = 0;
  const many = Array.from({ length: 100_000 }, () => ({
    get id() {
      looked += 1;
      return 7;
    },
  }));
  const told = preview(many as never);
  expect(told).toHaveLength(201);
  expect(looked).toBeLessThan(50);
});

it("tells lone surrogates and controls of text as escapes", () => {
  expect(preview("\ud83d\u0000")).toBe('"\\ud83d\\u0000"');
});
