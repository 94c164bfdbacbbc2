import { describe, expect, it } from "vitest";
import type { Span } from "../../api/model";
import { attemptBefore } from "./attempts";

const failed = (id: string, more: Partial<Span> = {}): Span => ({
  id,
  name: "pay",
  status: "FAILED",
  children: [],
  ...more,
});

describe("attemptBefore", () => {
  const tries = [failed("1"), failed("2")];
  const step = failed("step", { stepOp: "StepFailed", stepId: "s", children: tries });
  const other = failed("other", { name: "function" });
  const again = failed("again", { name: "function" });
  const root = failed("run", { name: "f", children: [other, step, again] });

  it.each([
    [root, undefined],
    [step, tries[1]],
    [tries[0], undefined],
    [tries[1], tries[0]],
    [other, undefined],
    [again, other],
  ])("finds the attempt of the same step", (span, before) => {
    expect(attemptBefore(root, span as Span)).toBe(before);
  });
});
