/** An answer of the server that is kept fresh while somebody looks at it. */

import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Refused, reachable } from "../api/http";

/** Off while the reader wants the page to hold still. */
export const live = signal(true);

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

interface Kept<Data> {
  readonly key: string;
  readonly data?: Data;
  readonly error?: Error;
}

/**
 * Asks, keeps the answer, and asks again every `everyMs` while the page is live and seen. A new
 * `key` is a new question; the old answer is not shown for it. After an error the last answer stays.
 */
export function useAnswer<Data>(
  key: string,
  ask: (signal: AbortSignal) => Promise<Data>,
  everyMs = 0,
): Answer<Data> {
  const [kept, setKept] = useState<Kept<Data>>({ key });
  const asked = useRef(ask);
  asked.current = ask;
  const seen = turn.value;
  const [mine, setMine] = useState(0);

  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const once = async () => {
      try {
        const data = await asked.current(stop.signal);
        setKept({ key, data });
      } catch (error) {
        if (stop.signal.aborted) return;
        setKept((last) => ({
          key,
          error: error as Error,
          ...(last.key === key && last.data !== undefined ? { data: last.data } : {}),
        }));
        if (error instanceof Refused && error.status === 404) return;
      }
      if (everyMs > 0 && !stop.signal.aborted) timer = window.setTimeout(next, everyMs);
    };
    const next = () => {
      if (document.hidden || !live.value) timer = window.setTimeout(next, everyMs);
      else void once();
    };
    const back = () => {
      if (!document.hidden && live.value && everyMs > 0) {
        window.clearTimeout(timer);
        void once();
      }
    };
    document.addEventListener("visibilitychange", back);
    void once();
    return () => {
      document.removeEventListener("visibilitychange", back);
      window.clearTimeout(timer);
      stop.abort();
    };
  }, [key, everyMs, seen, mine]);

  const fresh = kept.key === key ? kept : { key };
  return {
    data: fresh.data,
    error: reachable.value ? fresh.error : undefined,
    again: () => setMine((count) => count + 1),
  };
}
