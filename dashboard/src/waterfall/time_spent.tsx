/** Where the time of a run went, at a glance: one bar of what it was made of, and the same in words. */

import type { JSX } from "preact";
import type { Spent } from "../api/model";
import { length } from "../parts/time";

const PARTS: readonly (readonly [keyof Spent, string, string, string])[] = [
  ["queuedMs", "queued", "Queued", "before its first call"],
  ["codeMs", "code", "Code", "in the code of its steps"],
  ["requestsMs", "requests", "Requests", "that the server made for its steps"],
  ["waitingMs", "waiting", "Waiting", "for a time, an event, a signal or another run"],
  ["retryingMs", "retrying", "Retrying", "what had failed"],
  [
    "betweenMs",
    "between",
    "Between",
    "the server, the network, and the function between its steps",
  ],
];

export function TimeSpent({ spent }: { spent: Spent }): JSX.Element | null {
  const shown = PARTS.filter(([name]) => spent[name] > 0);
  if (shown.length === 0) return null;
  return (
    <div class="spent">
      <div class="spent-bar" aria-hidden="true">
        {shown.map(([name, kind]) => (
          <i key={name} class={kind} style={{ flexGrow: spent[name] }} />
        ))}
      </div>
      <dl class="spent-parts">
        {shown.map(([name, kind, word, meaning]) => (
          <div key={name} title={meaning}>
            <i class={kind} aria-hidden="true" />
            <dt>{word}</dt>
            <dd>{length(spent[name])}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
