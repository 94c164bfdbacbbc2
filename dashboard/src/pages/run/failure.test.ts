import { describe, expect, it } from "vitest";
import type { Span } from "../../api/model";
import { failureOf, givenBy } from "./failure";

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

describe("a step that failed for good", () => {
  it("is told as its error, which is kept within what replays are told", () => {
    const output = { error: { name: "ValueError", message: "no account", stack: "" } };
    const told = failureOf({ id: "1", name: "pay", status: "FAILED", output, children: [] });
    expect(told).toMatchObject({ name: "ValueError", message: "no account" });
  });
});

describe("givenBy", () => {
  it.each([
    [{ data: 7 }, 7],
    [{ data: null }, null],
    [
      { data: 1, more: 2 },
      { data: 1, more: 2 },
    ],
    [[1], [1]],
  ])("of a step that kept %j is %j", (output, given) => {
    const span = { id: "1", name: "a", stepId: "s", status: "COMPLETED", output, children: [] };
    expect(givenBy(span as Span)).toEqual(given);
  });

  it("of a run is what it returned, as it is", () => {
    const output = { data: 7 };
    expect(givenBy({ id: "1", name: "f", status: "COMPLETED", output, children: [] })).toEqual(
      output,
    );
  });
});
