/** Each function that had anything to do: how much, how well, how long, and what waits. */

import type { JSX } from "preact";
import type { Count, Durations, Load, Named } from "../../api/model";
import { bucketsOf, failedShare, HOURLY, percent, type Span, totalsOf } from "../../charts/series";
import { Spark } from "../../charts/spark";
import { length, now } from "../../parts/time";
import { to, toFunction } from "../../place";

interface Props {
  readonly counts: readonly Count[];
  readonly durations: readonly Durations[];
  readonly load: readonly Load[];
  readonly span: Span;
}

const SHOWN = 12;

export function FunctionsTable({ counts, durations, load, span }: Props): JSX.Element | null {
  const mine = new Map<string, { app: Named; fn: Named; counts: Count[] }>();
  for (const one of counts) {
    if (!one.function || !one.app) continue;
    const known = mine.get(one.function.name) ?? { app: one.app, fn: one.function, counts: [] };
    known.counts.push(one);
    mine.set(one.function.name, known);
  }
  const rows = [...mine.values()]
    .map((one) => ({ ...one, buckets: bucketsOf(one.counts, hourly(span), now.value) }))
    .map((one) => ({ ...one, totals: totalsOf(one.buckets) }))
    .sort((a, b) => b.totals.queued - a.totals.queued || a.fn.name.localeCompare(b.fn.name));
  if (rows.length === 0) return null;
  return (
    <section class="card over-list" aria-label="Functions">
      <h2>Functions</h2>
      <div class="over-table">
        <div class="over-head" aria-hidden="true">
          <span>Function</span>
          <span class="wide">Runs</span>
          <span class="number">Begun</span>
          <span class="number">Failed</span>
          <span class="number">Median</span>
          <span class="number wide">Slow</span>
          <span class="number wide">Queued</span>
        </div>
        {rows.slice(0, SHOWN).map(({ app, fn, buckets, totals }) => {
          const took = durations.find((one) => one.function.name === fn.name);
          const waiting = load.find((one) => one.function.name === fn.name)?.queued ?? 0;
          return (
            <a class="over-row" key={fn.name} href={toFunction(app.name, fn.name)}>
              <bdi class="strong">{fn.name}</bdi>
              <span class="wide">
                <Spark buckets={buckets} />
              </span>
              <Cell name="begun">{totals.queued.toLocaleString()}</Cell>
              <Cell name="failed" tone={totals.failed > 0 ? "failed" : ""}>
                {totals.failed > 0 ? percent(failedShare(totals)) : "–"}
              </Cell>
              <Cell name="median">{took ? length(took.medianMs) : "–"}</Cell>
              <Cell name="slow, 95 of 100 took no longer" wide>
                {took ? length(took.slowMs) : "–"}
              </Cell>
              <Cell name="queued" wide>
                {waiting > 0 ? waiting.toLocaleString() : "–"}
              </Cell>
            </a>
          );
        })}
      </div>
      {rows.length > SHOWN && (
        <p class="over-note small">
          <a href={to("functions")}>All {rows.length} functions</a>
        </p>
      )}
    </section>
  );
}

/** Whole hours for a day, as functions are counted by the hour there. */
const hourly = (span: Span): Span => (span.name === HOURLY.name ? HOURLY : span);

interface CellProps {
  readonly name: string;
  readonly wide?: boolean;
  readonly tone?: string;
  readonly children: string;
}

/** A number, which whoever does not see the head of the table hears with its name. */
function Cell({ name, wide = false, tone = "", children }: CellProps): JSX.Element {
  return (
    <span class={`number${wide ? " wide" : ""}${tone ? ` toned tone-${tone}` : ""}`} title={name}>
      <span class="unseen">{name} </span>
      {children}
    </span>
  );
}
