/** A status as a shape, a word and a colour. */

import type { JSX } from "preact";
import type { SpanStatus } from "../api/model";

interface Shown {
  readonly word: string;
  readonly tone: string;
}

const SHOWN: Record<SpanStatus, Shown> = {
  QUEUED: { word: "Queued", tone: "queued" },
  RUNNING: { word: "Running", tone: "running" },
  WAITING: { word: "Waiting", tone: "waiting" },
  COMPLETED: { word: "Completed", tone: "completed" },
  FAILED: { word: "Failed", tone: "failed" },
  CANCELLED: { word: "Cancelled", tone: "cancelled" },
};

export const shown = (status: SpanStatus): Shown =>
  SHOWN[status] ?? { word: status, tone: "queued" };

export function Status({
  status,
  bare = false,
}: {
  status: SpanStatus;
  bare?: boolean;
}): JSX.Element {
  const { word, tone } = shown(status);
  return (
    <span class={`status tone-${tone}`}>
      <StatusShape status={status} />
      <span class={bare ? "unseen" : ""}>{word}</span>
    </span>
  );
}

/** The shape alone, 14 pixels. */
export function StatusShape({ status }: { status: SpanStatus }): JSX.Element {
  return (
    <svg width="14" height="14" viewBox="0 0 14 14" fill="none" aria-hidden="true">
      {drawn(status)}
    </svg>
  );
}

function drawn(status: SpanStatus): JSX.Element {
  const line = { stroke: "currentColor", "stroke-width": 1.6, "stroke-linecap": "round" } as const;
  const cut = { stroke: "var(--surface)", "stroke-width": 1.6, "stroke-linecap": "round" } as const;
  switch (status) {
    case "COMPLETED":
      return (
        <>
          <circle cx="7" cy="7" r="6.5" fill="currentColor" />
          <path d="M4.2 7.2 6.2 9.2 9.9 5.1" {...cut} />
        </>
      );
    case "FAILED":
      return (
        <>
          <rect x="0.5" y="0.5" width="13" height="13" rx="3.5" fill="currentColor" />
          <path d="M4.8 4.8 9.2 9.200M9.2 4.8 4.8 9.2" {...cut} />
        </>
      );
    case "RUNNING":
      return (
        <>
          <circle cx="7" cy="7" r="5.7" {...line} opacity="0.3" />
          <path class="turning" d="M7 1.300A5.7 5.7 0 0 1 12.7 7" {...line} />
        </>
      );
    case "WAITING":
      return (
        <path
          d="M3 1.500h8M3 12.500h8M4 1.500c0 3.5 6 3.5 6 5.500s-6 2-6 5.500M10 1.500c0 3.5-6 3.5-6 5.500s6 2 6 5.5"
          {...line}
          stroke-width="1.4"
        />
      );
    case "CANCELLED":
      return (
        <>
          <circle cx="7" cy="7" r="5.7" {...line} />
          <path d="M3.2 3.2 10.8 10.8" {...line} />
        </>
      );
    default:
      return <circle cx="7" cy="7" r="5.7" {...line} stroke-dasharray="2.2 2.3" />;
  }
}
