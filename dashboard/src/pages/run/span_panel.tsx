/** Everything about the chosen line of the waterfall. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type Json, printExact } from "../../api/exact";
import { address } from "../../api/http";
import type { Run, Span } from "../../api/model";
import { mayOperate, who } from "../../api/session";
import { curlOf, rerunCommandOf } from "../../parts/as_code";
import { CopyMenu, type Way } from "../../parts/copy_menu";
import { Icon } from "../../parts/icon";
import { JsonView } from "../../parts/json";
import { Status } from "../../parts/status";
import { length, Moment } from "../../parts/time";
import { to, toRun } from "../../place";
import { EVERYTHING, searchOf } from "../runs/filter";
import { ComparedWith } from "./attempts";
import { Failure, type FailureTold, failureOf, givenBy } from "./failure";
import { Log } from "./log";
import { RerunFromStep } from "./rerun";
import { Linked } from "./why";

const KINDS: Record<string, string> = {
  Sleep: "sleep",
  WaitForEvent: "wait for an event",
  WaitForSignal: "wait for a signal",
  InvokeFunction: "another function",
  AIGateway: "AI request",
  Gateway: "HTTP request",
};

interface Props {
  readonly span: Span;
  /** The attempt that failed before it, if one did. */
  readonly before: Span | undefined;
  readonly run: Run;
  /** The span of the run itself. */
  readonly root: Span;
  /** The run that it invoked. */
  readonly began: Run | undefined;
}

export function SpanPanel({ span, before, run, root, began }: Props): JSX.Element {
  const [rerunning, setRerunning] = useState(false);
  const failure = failureOf(span);
  const given = givenBy(span);
  const queuedMs =
    span.queuedAt && span.startedAt ? Date.parse(span.startedAt) - Date.parse(span.queuedAt) : 0;
  return (
    <section class="panel card" aria-label="Details">
      <header class="panel-head">
        <div>
          <h2>
            <bdi>{span.name}</bdi>
          </h2>
          <Status status={span.status} />
        </div>
        {span.stepId && (
          <span class="panel-actions">
            <CopyMenu label="Copy the step as code" ways={waysOf(run, span, given)} />
            {mayOperate() && (
              <button type="button" class="button" onClick={() => setRerunning(true)}>
                <Icon name="again" size={14} />
                Run again from here
              </button>
            )}
          </span>
        )}
      </header>
      <dl class="pairs">
        <Pair name="Kind">
          {KINDS[span.stepOp ?? ""] ?? (span.stepId ? "step" : "call of the function")}
        </Pair>
        {began && (
          <Pair name="Invoked">
            <a href={toRun(began.id)}>
              <bdi>{began.function.name}</bdi>
            </a>
          </Pair>
        )}
        {span.attempt !== undefined && <Pair name="Attempt">{span.attempt + 1}</Pair>}
        {span.startedAt && (
          <Pair name="Started">
            <Moment at={span.startedAt} />
          </Pair>
        )}
        {span.durationMs !== undefined && <Pair name="Took">{length(span.durationMs)}</Pair>}
        {queuedMs > 0 && <Pair name="Queued for">{length(queuedMs)}</Pair>}
      </dl>
      {span.detail && span.stepId && !failure && (
        <p class="soft panel-detail">
          <Linked text={span.detail} />
        </p>
      )}
      {failure && <Failure failure={failure} />}
      {failure && run.status === "FAILED" && (
        <p class="small">
          <a href={alike(run, failure)}>Runs of this function that failed with {failure.name}</a>
        </p>
      )}
      {failure && before && <ComparedWith before={before} span={span} />}
      {span.input !== undefined && <Part title="Input" value={span.input} />}
      {!failure && given !== undefined && <Part title="Output" value={given} />}
      {!failure && given === undefined && span.endedAt && (
        <p class="faint panel-detail">It gave nothing.</p>
      )}
      {(span === root || span.attempt !== undefined) && (
        <Log runId={run.id} root={root} span={span} />
      )}
      {rerunning && span.stepId && (
        <RerunFromStep run={run} span={span} onClose={() => setRerunning(false)} />
      )}
    </section>
  );
}

/** A step, and running again from it, as somebody would write them elsewhere. */
function waysOf(run: Run, span: Span, given: Json | undefined): readonly Way[] {
  const step = span.stepId ?? "";
  const url = address(`api/v2/runs/${run.id}/rerun`);
  const body: Json = {
    fromStep: { stepId: step, ...(span.input === undefined ? {} : { input: span.input }) },
  };
  return [
    { name: "Command that runs again from it", text: () => rerunCommandOf(run.id, span) },
    { name: "curl that runs again from it", text: () => curlOf(url, body, needsKey()) },
    ...(span.input === undefined ? [] : [asJson("Input", span.input)]),
    ...(given === undefined ? [] : [asJson("Output", given)]),
  ];
}

const asJson = (what: string, value: Json): Way => ({
  name: `${what} as JSON`,
  text: () => printExact(value),
});

const needsKey = (): boolean => who.value?.byCookie === true;

const alike = (run: Run, failure: FailureTold): string =>
  to("runs") +
  searchOf({
    ...EVERYTHING,
    statuses: ["FAILED"],
    app: run.app.name,
    fn: run.function.name,
    query: `error.name == ${JSON.stringify(failure.name)}`,
  });

function Pair({
  name,
  children,
}: {
  name: string;
  children: preact.ComponentChildren;
}): JSX.Element {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function Part({ title, value }: { title: string; value: Json }): JSX.Element {
  return (
    <div class="panel-part">
      <h3>{title}</h3>
      <JsonView value={value} what={`the ${title.toLowerCase()}`} />
    </div>
  );
}
