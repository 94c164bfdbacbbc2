/**
 * What changes on the server, as it changes: one stream for the whole page, open while somebody
 * looks. The browser comes back by itself and says where it was; what it missed it hears then, or is
 * told to ask for everything anew.
 */

import { effect, signal } from "@preact/signals";
import { address, ask, changesBefore, locked, query } from "../api/http";
import { live } from "./live";

export interface Changes {
  /** Runs that stand otherwise now, by id. */
  readonly runs: ReadonlySet<string>;
  readonly events: boolean;
  /** More than could be told, or it is not known what. */
  readonly all: boolean;
}

const EVERYTHING: Changes = { runs: new Set(), events: true, all: true };
const AGAIN_MS = 5000;

const listeners = new Set<(changes: Changes) => void>();
const listened = signal(0);
const seen = signal(!document.hidden);
let source: EventSource | undefined;
/** Whether changes were heard of before. */
let known = false;

document.addEventListener("visibilitychange", () => {
  seen.value = !document.hidden;
});

/** Hears of changes until the function it gives is called. */
export function listen(listener: (changes: Changes) => void): () => void {
  listeners.add(listener);
  listened.value = listeners.size;
  return () => {
    listeners.delete(listener);
    listened.value = listeners.size;
  };
}

const tell = (changes: Changes): void => {
  for (const listener of listeners) listener(changes);
};

effect(() => {
  const wanted = listened.value > 0 && seen.value && live.value && !locked.value;
  // Not before there is an answer, which says where the changes stood: none is missed between.
  if (wanted && !source && changesBefore.value !== undefined) open(changesBefore.value);
  else if (!wanted) close();
});

function open(lastEventId: string): void {
  const asked = query({ includeEvents: true, lastEventId: known ? "" : lastEventId });
  const opened = new EventSource(address(`api/v2/stream${asked}`));
  source = opened;
  // After a pause the page shows what was, also where nobody had looked at it meanwhile. Where the
  // browser came back by itself, it said where it was: nothing is missed.
  let paused = known;
  opened.addEventListener("ready", () => {
    if (paused) tell(EVERYTHING);
    paused = false;
    known = true;
  });
  opened.addEventListener("reset", () => {
    tell(EVERYTHING);
    known = true;
  });
  opened.addEventListener("changes", (message: MessageEvent<string>) =>
    tell(changesOf(message.data)),
  );
  opened.addEventListener("error", () => {
    // Says so, if it is the server that is gone.
    ask("api/v2/health").catch(() => {});
    if (opened.readyState !== EventSource.CLOSED) return;
    close();
    setTimeout(() => {
      if (listened.value > 0 && seen.value && live.value && !locked.value && !source) open("");
    }, AGAIN_MS);
  });
}

function close(): void {
  source?.close();
  source = undefined;
}

function changesOf(text: string): Changes {
  const told = JSON.parse(text) as { runs?: { id: string }[]; events?: unknown[]; more?: boolean };
  return {
    runs: new Set((told.runs ?? []).map((run) => run.id)),
    events: (told.events ?? []).length > 0,
    all: told.more === true,
  };
}
