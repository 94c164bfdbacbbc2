/** Lines of the latest runs, and each that is written from then on, as long as somebody looks. */

import { useEffect, useState } from "preact/hooks";
import { address, ask, query } from "../../api/http";
import type { Run, RunLine } from "../../api/model";
import * as api from "../../api/resources";
import { live } from "../../live/live";
import { inOrder, joined, withFunctions, withoutKnown } from "./lines";

/** Of so many runs it is told what they wrote before, at most; so many are asked at a time, until
 * there are lines enough to begin with. */
const RUNS = 40;
const AT_ONCE = 8;
const ENOUGH = 50;
const AGAIN_MS = 5000;

interface Told {
  readonly lines?: readonly RunLine[];
  readonly runs?: readonly { id: string; function: { name: string } }[];
  readonly more?: boolean;
}

export interface Tail {
  readonly lines: readonly RunLine[] | undefined;
  /** The functions of runs, by the run. */
  readonly functions: ReadonlyMap<string, string>;
  /** More lines came at once than are told. */
  readonly gap: boolean;
  readonly error: Error | undefined;
}

const NOTHING: Tail = { lines: undefined, functions: new Map(), gap: false, error: undefined };

/** `app` and `fn` name a function; empty for all. */
export function useTail(app: string, fn: string): Tail {
  const [tail, setTail] = useState<Tail>(NOTHING);
  const follows = live.value;
  useEffect(() => {
    if (!follows) return;
    const stop = new AbortController();
    let source: EventSource | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    let early: Told[] | undefined;
    const hear = (told: Told) => (early ? early.push(told) : setTail((now) => withTold(now, told)));
    /** What was written before is asked for once it is heard what comes: nothing lies between. */
    const begin = async () => {
      early = [];
      const before = await latest(app, fn, stop.signal);
      const heard: readonly Told[] = early;
      early = undefined;
      let now: Tail = { ...NOTHING, ...before };
      for (const told of heard)
        now = withTold(now, { ...told, lines: withoutKnown(before.lines, told.lines ?? []) });
      setTail(now);
    };
    const beginOrSay = () =>
      void begin().catch((error: Error) => {
        if (!stop.signal.aborted) setTail((now) => ({ ...now, error }));
      });
    const open = () => {
      source = streamOf(app, fn, beginOrSay, hear, () => {
        again = setTimeout(open, AGAIN_MS);
      });
    };
    open();
    return () => {
      stop.abort();
      source?.close();
      clearTimeout(again);
    };
  }, [app, fn, follows]);
  return tail;
}

const withTold = (now: Tail, told: Told): Tail => ({
  lines: joined(now.lines ?? [], told.lines ?? []),
  functions: withFunctions(now.functions, told.runs ?? []),
  gap: now.gap || told.more === true,
  error: undefined,
});

/** What the latest runs wrote. */
async function latest(app: string, fn: string, signal: AbortSignal) {
  const wanted = { statuses: [], apps: app ? [app] : [], functions: fn ? [fn] : [], limit: RUNS };
  const found = await api.runs({ ...wanted, timeField: "queuedAt", order: "DESC" }, signal);
  const linesOf = async ({ id }: Run) =>
    (await api.logs(id, signal)).data.map((line) => ({ ...line, runId: id }));
  const lines: RunLine[] = [];
  for (let at = 0; at < found.data.length && lines.length < ENOUGH; at += AT_ONCE) {
    const some = await Promise.all(found.data.slice(at, at + AT_ONCE).map(linesOf));
    lines.push(...some.flat());
  }
  return { lines: inOrder(lines), functions: withFunctions(new Map(), found.data) };
}

/** `begins` where it is not known what came before; `gone` where the browser does not come back. */
function streamOf(
  app: string,
  fn: string,
  begins: () => void,
  hear: (told: Told) => void,
  gone: () => void,
): EventSource {
  const asked = query({ includeLogs: true, appId: app, functionId: fn });
  const source = new EventSource(address(`api/v2/stream${asked}`));
  // The browser comes back to where it was: what it missed is told then.
  source.addEventListener("ready", begins, { once: true });
  source.addEventListener("reset", begins);
  source.addEventListener("changes", (message: MessageEvent<string>) =>
    hear(JSON.parse(message.data) as Told),
  );
  source.addEventListener("error", () => {
    // Says so, if it is the server that is gone.
    ask("api/v2/health").catch(() => {});
    if (source.readyState === EventSource.CLOSED) gone();
  });
  return source;
}
