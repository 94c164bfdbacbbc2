/** What one attempt failed with, compared with the one before it. */

import type { JSX } from "preact";
import type { Span } from "../../api/model";
import { Diff } from "../../parts/diff";
import { lineDiff } from "../../parts/line_diff";
import { type FailureTold, failureOf } from "./failure";

/** The failed attempt that came before a span, or undefined where it is the first. */
export function attemptBefore(root: Span, span: Span): Span | undefined {
  if (span !== root && span.children.length > 0) return span.children.at(-1);
  const parent = root.children.find((one) => one.children.includes(span)) ?? root;
  return parent.children
    .slice(0, parent.children.indexOf(span))
    .reverse()
    .find((one) => isAttempt(one) && one.name === span.name);
}

/** Whether a span tells of no more than a failure, after which its step was tried again. */
export const isAttempt = (span: Span): boolean =>
  span.status === "FAILED" && !span.stepOp && span.children.length === 0;

export function ComparedWith({ before, span }: { before: Span; span: Span }): JSX.Element | null {
  const one = failureOf(before);
  const other = failureOf(span);
  if (!one || !other) return null;
  const diff = lineDiff(textOf(one), textOf(other));
  const name = `attempt ${(before.attempt ?? 0) + 1}`;
  if (diff.every((line) => line.kind === "same"))
    return <p class="soft">It failed as {name} did, to the letter.</p>;
  return (
    <details class="compared" open>
      <summary>Compared with {name}</summary>
      <Diff lines={diff} />
    </details>
  );
}

/** An error and its causes, as text. */
function textOf(failure: FailureTold): string {
  const cause = failure.cause ? `\ncaused by ${textOf(failure.cause)}` : "";
  return `${failure.name}: ${failure.message}\n${failure.stack.trimEnd()}${cause}`;
}
