import { expect, test } from "vitest";
import type { Run, TreeRun } from "../../api/model";
import { above, begunBy } from "./branches";

const node = (id: string, stepId = "", ...children: TreeRun[]): TreeRun => ({
  run: { id } as Run,
  ...(stepId ? { stepId } : {}),
  ...(children.length > 0 ? { children } : {}),
});

const TREE = node("a", "", node("b", "s1", node("c", "s2")), node("d", "s3"));

test("the run above another is found at any depth, and none above the topmost", () => {
  expect(above(TREE, "c")?.run.id).toBe("b");
  expect(above(TREE, "d")?.run.id).toBe("a");
  expect(above(TREE, "a")).toBeUndefined();
});

test("the run that a step began is that of its own run", () => {
  expect(begunBy(TREE, "b", "s2")?.run.id).toBe("c");
  expect(begunBy(TREE, "a", "s2")).toBeUndefined();
  expect(begunBy(TREE, "nowhere", "s1")).toBeUndefined();
});
