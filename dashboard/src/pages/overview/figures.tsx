/** The four numbers that are looked at first; each leads to its runs. */

import type { JSX } from "preact";
import type { Load, RunStatus } from "../../api/model";
import { type Bucket, failedShare, often, percent, type Span, totalsOf } from "../../charts/series";
import { Icon } from "../../parts/icon";
import { distance, now } from "../../parts/time";
import { to } from "../../place";
import { EVERYTHING, searchOf } from "../runs/filter";

interface Props {
  readonly buckets: readonly Bucket[];
  readonly load: readonly Load[];
  readonly span: Span;
}

const LONG_MS = 60_000;

export function Figures({ buckets, load, span }: Props): JSX.Element {
  const totals = totalsOf(buckets);
  const running = load.reduce((sum, one) => sum + one.running, 0);
  const queued = load.reduce((sum, one) => sum + one.queued, 0);
  const oldest = load
    .map((one) => one.oldestQueuedAt)
    .filter((at) => at !== undefined)
    .sort()[0];
  const long = oldest !== undefined && now.value - Date.parse(oldest) > LONG_MS;
  return (
    <div class="figures">
      <Figure name="Begun" value={totals.queued} href={runsOf([], span)}>
        {`${often(totals.queued, span.ms)} on average`}
      </Figure>
      <Figure
        name="Failed"
        value={totals.failed}
        href={runsOf(["FAILED"], span)}
        tone={totals.failed > 0 ? "failed" : ""}
      >
        {totals.failed === 0
          ? `of ${totals.completed.toLocaleString()} that ended`
          : `${percent(failedShare(totals))} of those that ended`}
      </Figure>
      <Figure name="Going on" value={running} href={runsOf(["RUNNING"])}>
        {running === 0 ? "nothing is under way" : "now, and those that wait within"}
      </Figure>
      <Figure name="Queued" value={queued} href={runsOf(["QUEUED"])} tone={long ? "waiting" : ""}>
        {oldest ? `the oldest ${distance(now.value, Date.parse(oldest))}` : "nothing waits"}
      </Figure>
    </div>
  );
}

const runsOf = (statuses: readonly RunStatus[], span?: Span): string =>
  to("runs") + searchOf({ ...EVERYTHING, statuses, last: span?.name ?? "" });

interface FigureProps {
  readonly name: string;
  readonly value: number;
  readonly href: string;
  readonly tone?: string;
  readonly children: string;
}

function Figure({ name, value, href, tone = "", children }: FigureProps): JSX.Element {
  return (
    <a class={`figure card${tone ? ` tone-${tone}` : ""}`} href={href}>
      <span class="figure-name">
        {tone && <Icon name="warning" size={13} />}
        {name}
      </span>
      <span class="figure-value">{value.toLocaleString()}</span>
      <span class="figure-beside">{children}</span>
    </a>
  );
}
