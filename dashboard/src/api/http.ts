/** The only place that talks to the server: addresses, errors, and whether it can be reached. */

import { signal } from "@preact/signals";
import { setClock } from "../parts/time";
import { type Json, parseExact } from "./exact";

const CHANGES = "x-stepwell-changes";

/** False from the first request that found nobody until the next that finds somebody. */
export const reachable = signal(true);
/** True once the server has asked who we are. */
export const locked = signal(false);

/** Where the server's changes stood before its first answer; empty where it does not say so. */
export const changesBefore = signal<string | undefined>(undefined);

/** A refusal, in the server's own words. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly code = "",
  ) {
    super(message);
  }
}

/** Nobody answered. */
export class Unreachable extends Error {}

interface Asking {
  readonly method?: "GET" | "POST" | "DELETE";
  readonly body?: Json;
  /** A body that is JSON text already, sent as it is. */
  readonly text?: string;
  readonly signal?: AbortSignal;
}

/** An address below the place the dashboard is mounted at. */
export function address(path: string): string {
  return new URL(path.replace(/^\//, ""), document.baseURI).href;
}

/** Asks the server. Throws `Refused` or `Unreachable`. */
export async function ask<Answer>(path: string, asking: Asking = {}): Promise<Answer> {
  const text = asking.text ?? (asking.body === undefined ? undefined : JSON.stringify(asking.body));
  const sent: RequestInit = {
    method: asking.method ?? "GET",
    headers: { accept: "application/json" },
  };
  if (text !== undefined) {
    sent.body = text;
    sent.headers = { ...sent.headers, "content-type": "application/json" };
  }
  if (asking.signal) sent.signal = asking.signal;
  const answer = await reached(path, sent);
  const body = await answer.text();
  if (!answer.ok) throw refusal(answer.status, body);
  if (path.includes("api/v2/")) changesBefore.value ??= answer.headers.get(CHANGES) ?? "";
  const told = body === "" ? null : parseExact(body);
  setClock((told as { metadata?: { fetchedAt?: string } } | null)?.metadata?.fetchedAt);
  return told as Answer;
}

async function reached(path: string, sent: RequestInit): Promise<Response> {
  try {
    const answer = await fetch(address(path), sent);
    reachable.value = true;
    return answer;
  } catch (error) {
    if (sent.signal?.aborted) throw error;
    reachable.value = false;
    throw new Unreachable("The server does not answer");
  }
}

function refusal(status: number, body: string): Refused {
  if (status === 401) locked.value = true;
  try {
    const told = JSON.parse(body) as {
      errors?: { message: string; code?: string }[];
      error?: string;
    };
    const first = told.errors?.[0];
    if (first) return new Refused(status, first.message, first.code);
    if (told.error) return new Refused(status, told.error);
  } catch {
    // No JSON: the text itself is what there is to say.
  }
  return new Refused(status, body.trim() || `the server answered ${status}`);
}

/** A query text out of pairs; a list gives its name once for each, what is empty is left out. */
export function query(
  wanted: Record<string, string | number | boolean | readonly string[] | undefined>,
): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(wanted)) {
    if (value === undefined || value === "") continue;
    if (Array.isArray(value)) for (const one of value) search.append(name, one);
    else search.append(name, String(value));
  }
  const text = search.toString();
  return text && `?${text}`;
}
