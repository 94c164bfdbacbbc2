/** The frame around every page, and which page stands in it. */

import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { LocationProvider, Route, Router, useLocation } from "preact-iso";
import { locked, reachable } from "./api/http";
import { logOut, mayOperate, recognise, who } from "./api/session";
import { later, loadTheRest } from "./later";
import { Reconnect } from "./live/reconnect";
import { RunsPage } from "./pages/runs/runs";
import { type Choice, KeySheet, Palette } from "./palette";
import { Empty } from "./parts/empty";
import { Icon, type IconName, Mark } from "./parts/icon";
import { ThemeButton } from "./parts/theme";
import { Toasts } from "./parts/toast";
import { BASE, to } from "./place";
import { useShortcuts } from "./shortcuts";

const PLACES: readonly { page: string; name: string; icon: IconName }[] = [
  { page: "overview", name: "Overview", icon: "overview" },
  { page: "runs", name: "Runs", icon: "runs" },
  { page: "events", name: "Events", icon: "events" },
  { page: "logs", name: "Logs", icon: "logs" },
  { page: "functions", name: "Functions", icon: "functions" },
  { page: "crons", name: "Schedules", icon: "cron" },
  { page: "limits", name: "Limits", icon: "limits" },
  { page: "apps", name: "Apps", icon: "apps" },
];

// The list of runs comes first for most: it is here from the beginning.
const RunPage = later(async () => (await import("./pages/run/run")).RunPage);
const OverviewPage = later(async () => (await import("./pages/overview/overview")).OverviewPage);
const AppsPage = later(async () => (await import("./pages/apps/apps")).AppsPage);
const CronsPage = later(async () => (await import("./pages/crons/crons")).CronsPage);
const EventPage = later(async () => (await import("./pages/events/event")).EventPage);
const EventsPage = later(async () => (await import("./pages/events/events")).EventsPage);
const FunctionPage = later(async () => (await import("./pages/functions/function")).FunctionPage);
const FunctionsPage = later(
  async () => (await import("./pages/functions/functions")).FunctionsPage,
);
const LimitsPage = later(async () => (await import("./pages/limits/limits")).LimitsPage);
const LoginPage = later(async () => (await import("./pages/login/login")).LoginPage);
const LogsPage = later(async () => (await import("./pages/logs/logs")).LogsPage);
const ReplayPage = later(async () => (await import("./pages/replay/replay")).ReplayPage);
const SendEvent = later(async () => (await import("./pages/events/send")).SendEvent);

export function Dashboard(): JSX.Element {
  return (
    <LocationProvider scope={BASE}>
      <Shell />
    </LocationProvider>
  );
}

function Shell(): JSX.Element | null {
  const { route } = useLocation();
  const [open, setOpen] = useState<"send" | "palette" | "keys">();
  const close = () => setOpen(undefined);
  const send = () => mayOperate() && setOpen("send");
  useShortcuts({
    onSend: send,
    onPalette: () => setOpen("palette"),
    onKeys: () => setOpen("keys"),
  });
  useEffect(
    () =>
      void recognise()
        .catch(() => {})
        .then(loadTheRest),
    [],
  );
  if (locked.value) return <LoginPage />;
  return (
    <div class="shell">
      <Side onSend={send} onPalette={() => setOpen("palette")} />
      <main class="main" id="main">
        {!reachable.value && <Reconnect />}
        <Router>
          <Route path={to("")} component={Home} />
          <Route path={to("overview")} component={OverviewPage} />
          <Route path={to("runs")} component={RunsPage} />
          <Route path={to("runs/:id")} component={RunPage} />
          <Route path={to("events")} component={EventsPage} />
          <Route path={to("events/:id")} component={EventPage} />
          <Route path={to("logs")} component={LogsPage} />
          <Route path={to("functions")} component={FunctionsPage} />
          <Route path={to("functions/:app/:slug")} component={FunctionPage} />
          <Route path={to("replay")} component={ReplayPage} />
          <Route path={to("crons")} component={CronsPage} />
          <Route path={to("limits")} component={LimitsPage} />
          <Route path={to("apps")} component={AppsPage} />
          <Route default component={Nowhere} />
        </Router>
      </main>
      {open === "send" && <SendEvent onClose={close} />}
      {open === "palette" && (
        <Palette choices={choicesOf(route, send, () => setOpen("keys"))} onClose={close} />
      )}
      {open === "keys" && <KeySheet onClose={close} />}
      <Toasts />
    </div>
  );
}

/** The pages, and what can be done on each of them. */
function choicesOf(route: (url: string) => void, onSend: () => void, onKeys: () => void): Choice[] {
  const pages = PLACES.map(({ page, name, icon }) => ({
    name,
    hint: "page",
    icon,
    go: () => route(to(page)),
  }));
  const failed = { name: "Failed runs", hint: "page", icon: "runs" } as const;
  return [
    ...pages,
    { ...failed, go: () => route(`${to("runs")}?status=FAILED`) },
    { name: "Replay", hint: "page", icon: "again", go: () => route(to("replay")) },
    ...(mayOperate()
      ? [{ name: "Send an event", hint: "n", icon: "send" as const, go: onSend }]
      : []),
    { name: "Keys", hint: "?", icon: "keys", go: onKeys },
  ];
}

interface SideProps {
  readonly onSend: () => void;
  readonly onPalette: () => void;
}

function Side({ onSend, onPalette }: SideProps): JSX.Element {
  const { path } = useLocation();
  return (
    <header class="side">
      <a class="brand" href={to("runs")}>
        <Mark />
        <span>Stepwell</span>
      </a>
      <button
        type="button"
        class="button find"
        title="Find a page or an action"
        onClick={onPalette}
      >
        <Icon name="search" size={14} />
        <span>Go to…</span>
        <kbd>Ctrl K</kbd>
      </button>
      <nav class="places" aria-label="Pages">
        {PLACES.map(({ page, name, icon }) => (
          <a
            key={page}
            class="place"
            href={to(page)}
            aria-current={path === to(page) || path.startsWith(to(`${page}/`)) ? "page" : undefined}
          >
            <Icon name={icon} />
            <span>{name}</span>
          </a>
        ))}
      </nav>
      <div class="side-foot">
        <button
          type="button"
          class="button"
          onClick={onSend}
          disabled={!mayOperate()}
          title="Send an event (n)"
        >
          <Icon name="send" size={14} />
          <span class="send-word">Send event</span>
        </button>
        <ThemeButton />
        {who.value?.byCookie && (
          <button
            type="button"
            class="button plain icon-only"
            title={`Log out ${who.value.name}`}
            aria-label={`Log out ${who.value.name}`}
            onClick={logOut}
          >
            <Icon name="leave" />
          </button>
        )}
      </div>
    </header>
  );
}

function Home(): null {
  const { route } = useLocation();
  useEffect(() => route(to("runs"), true), [route]);
  return null;
}

function Nowhere(): JSX.Element {
  return (
    <Empty icon="search" title="There is no such page" whole>
      <p>
        The address may be of another version. <a href={to("runs")}>See all runs</a>.
      </p>
    </Empty>
  );
}
