/** The server that answers, and whether it keeps up. */

import type { JSX } from "preact";
import type { ServerTold } from "../../api/model";
import { Icon } from "../../parts/icon";
import { Ago, length } from "../../parts/time";

/** What it works itself without a pause for others is more than this where something is amiss. */
const BUSY_MS = 250;

export function ThisServer({ server }: { server: ServerTold }): JSX.Element {
  const late = server.lateMs;
  return (
    <section class="app card" aria-labelledby="this-server">
      <header>
        <h2 id="this-server">The server</h2>
      </header>
      {late && late.own > BUSY_MS && (
        <div class="notice tone-waiting">
          <Icon name="warning" />
          <p>
            It kept everybody waiting for {length(late.own)} by work of its own. Large results do
            that, long conditions, and functions of this process whose code blocks.
          </p>
        </div>
      )}
      <dl class="pairs">
        <dt>Version</dt>
        <dd>{server.version || "–"}</dd>
        {server.startedAt && (
          <>
            <dt>Started</dt>
            <dd>
              <Ago at={server.startedAt} />
            </dd>
            <dt>Connections</dt>
            <dd>{server.connections}</dd>
          </>
        )}
        {late && (
          <>
            <dt>Late by</dt>
            <dd title="The longest that its loop was late in the last five minutes">
              {length(late.longest)} at most
              <span class="faint"> · {length(late.own)} by its own work</span>
            </dd>
          </>
        )}
      </dl>
    </section>
  );
}
