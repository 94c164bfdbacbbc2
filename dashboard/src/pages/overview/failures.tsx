/** What runs failed with: alike errors are one line. */

import type { JSX } from "preact";
import type { FailureGroup } from "../../api/model";
import type { Span } from "../../charts/series";
import { Icon } from "../../parts/icon";
import { Ago } from "../../parts/time";
import { toRun } from "../../place";

interface Props {
  readonly groups: readonly FailureGroup[];
  readonly span: Span;
}

export function Failures({ groups, span }: Props): JSX.Element {
  return (
    <section class="card over-list" aria-label="Failures">
      <h2>Failures</h2>
      {groups.length === 0 ? (
        <p class="over-none soft">
          <Icon name="check" size={14} />
          {`No run failed in the ${span.word.toLowerCase()}.`}
        </p>
      ) : (
        groups.map((one) => (
          <a class="failed-group" key={one.runId} href={toRun(one.runId)}>
            <span class="failed-count">{one.count.toLocaleString()}</span>
            <span class="failed-words">
              <bdi class="failed-name">{one.name}</bdi>
              <bdi class="failed-message">{one.message.split("\n", 1)[0]}</bdi>
            </span>
            <span class="failed-where soft small">
              <bdi>{one.function.name}</bdi>
              <Ago at={one.lastAt} />
            </span>
          </a>
        ))
      )}
    </section>
  );
}
