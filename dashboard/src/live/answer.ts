/** An answer of the server that is kept fresh while somebody looks at it. */

import { signal } from "@preact/signals";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Refused, reachable } from "../api/http";
import { live } from "./live";
import { type Changes, listen } from "./stream";

/** Rises when everything shown should be asked for again. */
const turn = signal(0);

/** Ask again for everything that is shown: something was changed from here. */
export const refresh = (): void => {
  turn.value += 1;
};

export interface Answer<Data> {
  readonly data: Data | undefined;
  readonly error: Error | undefined;
  readonly again: () => void;
}

/** What makes an answer old: a change that is heard of, or time where no change is told. */
export interface Freshness {
  readonly on?: (changes: Changes) => boolean;
  readonly everyMs?: number;
  /** The first answer may wait until the browser has nothing else to do. */
  readonly idly?: boolean;
}

interface Kept<Data> {
  readonly key: string;
  readonly data?: Data;
  readonly error?: Error;
}

/** What may wait waits no longer. */
const SOON_MS = 1500;

/** Not more often than this, however much changes. */
const PAUSE_MS = 250;

/**
 * Asks, keeps the answer, and asks again when it is old, while the page is live and seen. A new `key`
 * is a new question; the old answer is not shown for it. After an error the last answer stays.
 */
export function useAnswer<Data>(
  key: string,
  ask: (signal: AbortSignal) => Promise<Data>,
  freshness: Freshness = {},
): Answer<Data> {
  const [kept, setKept] = useState<Kept<Data>>({ key });
  const asked = useRef(ask);
  const on = useRef(freshness.on);
  asked.current = ask;
  on.current = freshness.on;
  const everyMs = freshness.everyMs ?? 0;
  const idly = freshness.idly === true;
  const listens = freshness.on !== undefined;
  const whole = turn.value;
  const [mine, setMine] = useState(0);

  // Not after the paint: what is asked sooner is seen sooner.
  useLayoutEffect(() => {
    const stop = new AbortController();
    const once = async () => {
      try {
        setKept({ key, data: await asked.current(stop.signal) });
      } catch (error) {
        if (!stop.signal.aborted) setKept((last) => after(last, key, error as Error));
      }
    };
    const turns = takeTurns(once, everyMs, idly);
    const deaf = listens
      ? listen((changes) => {
          if (changes.all || on.current?.(changes)) turns.soon();
        })
      : () => {};
    return () => {
      deaf();
      turns.end();
      stop.abort();
    };
  }, [key, everyMs, idly, listens, whole, mine]);

  const fresh = kept.key === key ? kept : { key };
  return {
    data: fresh.data,
    error: reachable.value ? fresh.error : undefined,
    again: () => setMine((count) => count + 1),
  };
}

/** Does it when the browser has nothing else to do, or soon; gives what takes that back. */
function whenIdle(work: () => Promise<void>): () => void {
  if (typeof requestIdleCallback !== "function") {
    const timer = window.setTimeout(work, SOON_MS);
    return () => window.clearTimeout(timer);
  }
  const idle = requestIdleCallback(() => void work(), { timeout: SOON_MS });
  return () => cancelIdleCallback(idle);
}

/** An error beside the last answer to the same question. */
function after<Data>(last: Kept<Data>, key: string, error: Error): Kept<Data> {
  if (last.key !== key || last.data === undefined || isGone(error)) return { key, error };
  return { key, error, data: last.data };
}

const isGone = (error: Error): boolean => error instanceof Refused && error.status === 404;

/** Does it now, every so often, and soon when asked to; one at a time, and never while unseen. */
function takeTurns(once: () => Promise<void>, everyMs: number, idly: boolean) {
  let timer = 0;
  let busy = false;
  let wanted = false;
  let ended = false;
  const go = async () => {
    window.clearTimeout(timer);
    if (busy || document.hidden || !live.value) {
      wanted = true;
      return;
    }
    busy = true;
    wanted = false;
    await once();
    busy = false;
    if (ended) return;
    if (wanted) timer = window.setTimeout(go, PAUSE_MS);
    else if (everyMs > 0) timer = window.setTimeout(go, everyMs);
  };
  const back = () => {
    if (!document.hidden && (wanted || everyMs > 0)) void go();
  };
  document.addEventListener("visibilitychange", back);
  // The first answer is wanted even where the page is held.
  const first = async () => {
    busy = true;
    await once();
    busy = false;
    if (!ended && (wanted || everyMs > 0))
      timer = window.setTimeout(go, wanted ? PAUSE_MS : everyMs);
  };
  const forget = idly ? whenIdle(first) : () => {};
  if (!idly) void first();
  return {
    soon: () => {
      wanted = true;
      if (!busy) {
        window.clearTimeout(timer);
        timer = window.setTimeout(go, PAUSE_MS);
      }
    },
    end: () => {
      ended = true;
      forget();
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", back);
    },
  };
}
