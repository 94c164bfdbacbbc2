/** An error as the user's code raised it: name, words, the lines that led there, and its causes. */

import type { JSX } from "preact";
import type { Json } from "../../api/exact";
import type { Span } from "../../api/model";
import { CopyButton } from "../../parts/copy";

export interface FailureTold {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
  readonly cause: FailureTold | undefined;
}

/** The failure of a span, or undefined where it has none. */
export function failureOf(span: Span): FailureTold | undefined {
  if (span.status !== "FAILED" && span.status !== "CANCELLED") return undefined;
  return told(span.output) ?? told(within(span.output, "error"));
}

/** What a step gave: it is kept as `{"data": …}`, for those who replay it. */
export function givenBy(span: Span): Json | undefined {
  const data = span.stepId ? within(span.output, "data") : undefined;
  return data === undefined ? span.output : data;
}

/** The one field of an object, where it is that one. */
function within(value: Json | undefined, name: string): Json | undefined {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return undefined;
  const fields = value as { readonly [name: string]: Json };
  return Object.keys(fields).length === 1 ? fields[name] : undefined;
}

function told(value: Json | undefined): FailureTold | undefined {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return undefined;
  const fields = value as { readonly [name: string]: Json };
  const text = (name: string) => (typeof fields[name] === "string" ? (fields[name] as string) : "");
  if (!text("message") && !text("name")) return undefined;
  return {
    name: text("name") || "Error",
    message: text("message"),
    stack: text("stack"),
    cause: told(fields.cause),
  };
}

export function Failure({ failure }: { failure: FailureTold }): JSX.Element {
  return (
    <div class="failure">
      <p class="failure-words">
        <bdi>
          <strong>{failure.name}</strong>
          {failure.message && `: ${failure.message}`}
        </bdi>
      </p>
      {failure.stack && (
        <div class="failure-stack">
          <CopyButton text={failure.stack} what="the traceback" />
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is scrolled by keys, too */}
          <pre tabIndex={0}>
            <bdi>
              {failure.stack
                .trimEnd()
                .split("\n")
                .map((line, place) => (
                  <span key={place} class={kindOf(line)}>
                    {line}
                    {"\n"}
                  </span>
                ))}
            </bdi>
          </pre>
        </div>
      )}
      {failure.cause && (
        <>
          <p class="faint small">caused by</p>
          <Failure failure={failure.cause} />
        </>
      )}
    </div>
  );
}

/** Lines of libraries are set back, so that the reader's own stand out. */
function kindOf(line: string): string {
  if (/^\s*File "/.test(line))
    return /site-packages|\/lib\/python/.test(line) ? "line-of-library" : "line-of-file";
  return "line";
}
