/** The apps that serve functions, and how each is reached. */

import type { JSX } from "preact";
import type { App } from "../../api/model";
import * as api from "../../api/resources";
import { useAnswer } from "../../live/answer";
import { Empty, Wrong } from "../../parts/empty";
import { Icon } from "../../parts/icon";
import { Ago } from "../../parts/time";
import { ThisServer } from "./this_server";
import { Workers } from "./workers";
import "./apps.css";

const EVERY_MS = 3000;
const WAYS: Record<App["method"], string> = {
  SERVE: "called over HTTP",
  CONNECT: "workers connect",
  API: "in this process",
};

export function AppsPage(): JSX.Element {
  const found = useAnswer("apps", api.apps, { everyMs: EVERY_MS });
  const server = useAnswer("server", api.server, { everyMs: EVERY_MS });
  const workers = useAnswer("workers", api.workers, { everyMs: EVERY_MS });
  return (
    <>
      <div class="bar">
        <h1>Apps</h1>
      </div>
      <div class="content">
        {found.error && <Wrong error={found.error} again={found.again} />}
        {found.data?.length === 0 && <NoApps />}
        <div class="apps">
          {found.data?.map((app) => (
            <AppCard key={app.id} app={app} />
          ))}
        </div>
        {workers.error && <Wrong error={workers.error} again={workers.again} />}
        {workers.data && workers.data.length > 0 && (
          <>
            <h2>Workers</h2>
            <Workers workers={workers.data} />
          </>
        )}
        {server.data && (
          <div class="apps">
            <ThisServer server={server.data} />
          </div>
        )}
      </div>
    </>
  );
}

function AppCard({ app }: { app: App }): JSX.Element {
  const sync = app.latestSync;
  const sdk = [sync?.sdkLanguage, sync?.sdkVersion && `v${sync.sdkVersion}`]
    .filter(Boolean)
    .join(" ");
  return (
    <section class="app card">
      <header>
        <h2>
          <bdi>{app.name}</bdi>
        </h2>
        <span class="chip">{WAYS[app.method] ?? app.method}</span>
      </header>
      {sync?.error && (
        <div class="notice tone-failed">
          <Icon name="warning" />
          <p>{sync.error}</p>
        </div>
      )}
      <dl class="pairs">
        <dt>Functions</dt>
        <dd>{app.functionCount}</dd>
        {sdk && (
          <>
            <dt>SDK</dt>
            <dd>
              {sdk}
              {sync?.framework && <span class="faint"> · {sync.framework}</span>}
            </dd>
          </>
        )}
        {sync?.url && app.method === "SERVE" && (
          <>
            <dt>Address</dt>
            <dd class="app-url">
              <code>{sync.url}</code>
            </dd>
          </>
        )}
        {app.appVersion && (
          <>
            <dt>Version</dt>
            <dd>{app.appVersion}</dd>
          </>
        )}
        <dt>Registered</dt>
        <dd>
          <Ago at={sync?.syncedAt ?? app.createdAt} />
        </dd>
      </dl>
    </section>
  );
}

function NoApps(): JSX.Element {
  return (
    <Empty icon="apps" title="No apps yet">
      <p>An app is a program with functions. Start one and it appears here:</p>
      <pre>
        <code>
          {
            "stepwell dev my_app.functions          # beside the server\nstepwell worker my_app.functions       # a worker that connects\nstepwell dev -u http://localhost:8000/api/inngest"
          }
        </code>
      </pre>
    </Empty>
  );
}
