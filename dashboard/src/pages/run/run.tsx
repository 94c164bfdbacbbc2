/** One run: what it is, where its time went, what each step gave, and what can be done about it. */

import type { JSX } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { useRoute } from "preact-iso";
import { Refused } from "../../api/http";
import type { Code, Run, Span, Trace, Tree } from "../../api/model";
import * as api from "../../api/resources";
import { useAnswer } from "../../live/answer";
import type { Changes } from "../../live/stream";
import { LiveToggle } from "../../live/toggle";
import { CopyButton } from "../../parts/copy";
import { Empty, Wrong } from "../../parts/empty";
import { Status } from "../../parts/status";
import { length, Moment, now } from "../../parts/time";
import { to, toEvent, toFunction, toRun } from "../../place";
import { Waterfall } from "../../waterfall/waterfall";
import { RunActions } from "./actions";
import { attemptBefore } from "./attempts";
import { above, begunBy } from "./branches";
import { SpanPanel } from "./span_panel";
import { RunTree, useTree } from "./tree";
import { Why } from "./why";
import "./run.css";

/** The stream tells of the run; where its steps stand is asked for besides. */
const WHILE_RUNNING_MS = 2000;

export function RunPage(): JSX.Element {
  const id = useRoute().params.id ?? "";
  const [ended, setEnded] = useState(false);
  const fresh = {
    on: (changes: Changes) => changes.runs.has(id),
    everyMs: ended ? 0 : WHILE_RUNNING_MS,
  };
  const run = useAnswer(`run/${id}`, (signal) => api.run(id, signal), fresh);
  const trace = useAnswer(`trace/${id}`, (signal) => api.trace(id, signal), fresh);
  const tree = useTree(id);
  const over = run.data?.endedAt !== undefined && trace.data?.rootSpan.endedAt !== undefined;
  useEffect(() => setEnded(over), [over]);

  if (run.error instanceof Refused && run.error.status === 404) return <NoSuchRun id={id} />;
  if (!run.data)
    return (
      <div class="content bar">{run.error && <Wrong error={run.error} again={run.again} />}</div>
    );
  return (
    <>
      <Head run={run.data} />
      <div class="content">
        <Facts run={run.data} tree={tree} code={trace.data?.code} />
        {trace.data && <Told run={run.data} trace={trace.data} tree={tree} />}
        {trace.error && <Wrong error={trace.error} again={trace.again} />}
        {tree && <RunTree tree={tree} />}
      </div>
    </>
  );
}

function Head({ run }: { run: Run }): JSX.Element {
  return (
    <div class="bar run-head">
      <div class="run-title">
        <a class="back" href={to("runs")}>
          Runs
        </a>
        <h1>
          <bdi>{run.function.name}</bdi>
        </h1>
        <Status status={run.status} />
      </div>
      <span class="push" />
      {!run.endedAt && <LiveToggle />}
      <RunActions run={run} />
    </div>
  );
}

interface Shown {
  readonly run: Run;
  readonly tree: Tree | undefined;
}

function Facts({ run, tree, code }: Shown & { code: Code | undefined }): JSX.Element {
  const parent = tree && above(tree.root, run.id);
  const queued = Date.parse(run.queuedAt);
  const started = run.startedAt ? Date.parse(run.startedAt) : undefined;
  const end = run.endedAt ? Date.parse(run.endedAt) : now.value;
  const first = run.trigger.eventIds?.[0];
  const more = (run.trigger.eventIds?.length ?? 0) - 1;
  return (
    <dl class="facts card">
      <Fact name="Run">
        <code>{run.id}</code>
        <CopyButton text={run.id} what="the run's id" />
      </Fact>
      <Fact name="Duration">
        {started === undefined ? "–" : length(Math.max(end - started, 0))}
      </Fact>
      <Fact name="Queued for">{length(Math.max((started ?? end) - queued, 0))}</Fact>
      <Fact name="Queued at">
        <Moment at={run.queuedAt} />
      </Fact>
      {run.endedAt && (
        <Fact name="Ended at">
          <Moment at={run.endedAt} />
        </Fact>
      )}
      <Fact name="Trigger">
        {run.trigger.cron ? (
          <code>{run.trigger.cron}</code>
        ) : first ? (
          <>
            <a href={toEvent(first)} title={first}>
              {run.trigger.eventName ? <bdi>{run.trigger.eventName}</bdi> : <code>{first}</code>}
            </a>
            {more > 0 && <span class="faint">and {more} more</span>}
          </>
        ) : (
          "–"
        )}
      </Fact>
      <Fact name="App">
        <a href={toFunction(run.app.name, run.function.name)}>
          <bdi>{run.app.name}</bdi>
        </a>
      </Fact>
      {parent && (
        <Fact name="Begun by">
          <a href={toRun(parent.run.id)}>
            <bdi>{parent.run.function.name}</bdi>
          </a>
        </Fact>
      )}
      {code?.began && code.now && code.began !== code.now && (
        <Fact name="Code it began under">
          <code>{code.began}</code>
          <span class="faint">
            now <code>{code.now}</code>
          </span>
        </Fact>
      )}
      {run.originalRunId && (
        <Fact name="Rerun of">
          <a href={toRun(run.originalRunId)}>
            <code>{run.originalRunId}</code>
          </a>
        </Fact>
      )}
    </dl>
  );
}

function Fact({
  name,
  children,
}: {
  name: string;
  children: preact.ComponentChildren;
}): JSX.Element {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Told({ run, trace, tree }: Shown & { trace: Trace }): JSX.Element {
  const root = trace.rootSpan;
  const [chosen, choose] = useState<string>();
  const span = useMemo(() => find(root, chosen) ?? root, [root, chosen]);
  const began = tree && span.stepId ? begunBy(tree.root, run.id, span.stepId) : undefined;
  return (
    <>
      {!root.endedAt && <Why run={run} told={root.detail} />}
      <div class="run-parts">
        <Waterfall root={root} spent={trace.spent} chosen={span.id} onChoose={choose} />
        <SpanPanel
          key={span.id}
          span={span}
          before={attemptBefore(root, span)}
          run={run}
          root={root}
          began={began?.run}
        />
      </div>
    </>
  );
}

function find(span: Span, id: string | undefined): Span | undefined {
  if (id === undefined || span.id === id) return span;
  for (const child of span.children) {
    const found = find(child, id);
    if (found) return found;
  }
  return undefined;
}

function NoSuchRun({ id }: { id: string }): JSX.Element {
  return (
    <Empty icon="search" title="No such run" whole>
      <p>
        <code>{id}</code> is not stored here. It may have been on another server, or older than what
        this one keeps. <a href={to("runs")}>See all runs</a>.
      </p>
    </Empty>
  );
}
