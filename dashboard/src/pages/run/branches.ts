/** Finding one's way in a tree of runs that began each other. Pure. */

import type { TreeRun } from "../../api/model";

export const idsOf = (node: TreeRun): readonly string[] => [
  node.run.id,
  ...(node.children ?? []).flatMap(idsOf),
];

/** The run above another, as the tree has it. */
export function above(node: TreeRun, id: string): TreeRun | undefined {
  if (node.children?.some((child) => child.run.id === id)) return node;
  for (const child of node.children ?? []) {
    const found = above(child, id);
    if (found) return found;
  }
  return undefined;
}

/** The run that a step of another began. */
export function begunBy(node: TreeRun, id: string, stepId: string): TreeRun | undefined {
  if (node.run.id === id) return node.children?.find((child) => child.stepId === stepId);
  for (const child of node.children ?? []) {
    const found = begunBy(child, id, stepId);
    if (found) return found;
  }
  return undefined;
}
