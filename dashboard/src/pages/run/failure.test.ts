import { describe, expect, it } from "vitest";
import type { Span } from "../../api/model";
import { failureOf } from "./failure";

const SPAN: Span = { id: "s", name: "pay", status: "FAILED", children: [] };

describe("failureOf", () => {
  it("follows the causes that an SDK tells as values", () => {
    const output = {
      name: "ValueError",
      message: "no account",
      stack: "at pay",
      cause: { name: "KeyError", message: "account" },
    };
    expect(failureOf({ ...SPAN, output })).toEqual({
      name: "ValueError",
      message: "no account",
      stack: "at pay",
      cause: { name: "KeyError", message: "account", stack: "", cause: undefined },
    });
  });

  it("is none where the step gave a result, or something else than an error", () => {
    const output = { name: "ValueError", message: "only data" };
    expect(failureOf({ ...SPAN, status: "COMPLETED", output })).toBeUndefined();
    expect(failureOf({ ...SPAN, output: [1] })).toBeUndefined();
    expect(failureOf(SPAN)).toBeUndefined();
  });
});
