/** What the function wrote with `ctx.logger`, in a step or outside of one. */

import type { JSX } from "preact";
import type { LogLine, Span } from "../../api/model";
import * as api from "../../api/resources";
import { useAnswer } from "../../live/answer";
import { Wrong } from "../../parts/empty";
import { Moment } from "../../parts/time";
import { linesOf } from "./log_lines";

interface Props {
  readonly runId: string;
  readonly root: Span;
  readonly span: Span;
}

export function Log({ runId, root, span }: Props): JSX.Element {
  const { data, error, again } = useAnswer(`logs/${runId}`, (signal) => api.logs(runId, signal), {
    on: (changes) => changes.runs.has(runId),
  });
  const lines = data && linesOf(data.data, root, span);
  return (
    <div class="panel-part">
      <h3>Log</h3>
      {error && <Wrong error={error} again={again} />}
      {lines && lines.length === 0 && (
        <p class="faint">
          Nothing was written here. Lines of <code>ctx.logger</code>, from info on, are kept with
          the run.
        </p>
      )}
      {lines && lines.length > 0 && (
        <ol class="log">
          {lines.map((line, place) => (
            <Line key={place} line={line} />
          ))}
        </ol>
      )}
      {data?.page?.hasMore && <p class="soft small">There are more; these are the first.</p>}
    </div>
  );
}

function Line({ line }: { line: LogLine }): JSX.Element {
  return (
    <li data-level={line.level}>
      <span class="soft small">
        <Moment at={line.at} /> {line.level}
        {line.attempt !== undefined && `, attempt ${line.attempt + 1}`}
      </span>
      <bdi class="log-text">{line.text}</bdi>
    </li>
  );
}
