/** Which lines of a run's log belong to a line of its waterfall. */

import type { LogLine, Span } from "../../api/model";

/**
 * All of them for the run itself; those of a step with all its attempts, or of one attempt. An
 * attempt does not always name its step: then its parent does, or its name. One of the function
 * itself has what was written outside of steps.
 */
export function linesOf(lines: readonly LogLine[], root: Span, span: Span): readonly LogLine[] {
  if (span.attempt === undefined) return lines;
  const step = span.stepId ?? parentOf(root, span)?.stepId;
  const isOne = span.children.length === 0;
  return lines.filter((line) => {
    if (isOne && (line.attempt ?? 0) !== span.attempt) return false;
    if (step !== undefined) return line.stepId === step;
    return line.stepId === undefined || line.stepName === span.name;
  });
}

function parentOf(root: Span, span: Span): Span | undefined {
  for (const child of root.children) {
    if (child.id === span.id) return root;
    const found = parentOf(child, span);
    if (found) return found;
  }
  return undefined;
}
