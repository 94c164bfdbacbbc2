/** What a function was registered as, the newest first, each compared with the one before it. */

import type { JSX } from "preact";
import { type Json, printExact } from "../../api/exact";
import type { Fn, FnVersion } from "../../api/model";
import * as api from "../../api/resources";
import { useAnswer } from "../../live/answer";
import { Diff } from "../../parts/diff";
import { lineDiff } from "../../parts/line_diff";
import { Ago } from "../../parts/time";

export function Versions({ fn }: { fn: Fn }): JSX.Element | null {
  // Another version of the function is another question.
  const key = `versions/${fn.slug}/${fn.version}/${fn.createdAt}`;
  const found = useAnswer(key, (signal) => api.versions(fn.app.name, fn.slug, signal));
  const known = found.data ?? [];
  if (known.length === 0) return null;
  return (
    <section class="panel card versions">
      <h2>Versions</h2>
      <ol>
        {known.map((one, place) => (
          <Version key={one.createdAt} one={one} before={known[place + 1]} isNow={place === 0} />
        ))}
      </ol>
    </section>
  );
}

interface Props {
  readonly one: FnVersion;
  readonly before: FnVersion | undefined;
  readonly isNow: boolean;
}

function Version({ one, before, isNow }: Props): JSX.Element {
  const head = (
    <>
      <strong>Version {one.version}</strong>
      {isNow && <span class="chip">now</span>}
      <span class="soft">
        <Ago at={one.createdAt} />
      </span>
      {one.appVersion && (
        <span class="soft">
          app <bdi>{one.appVersion}</bdi>
        </span>
      )}
    </>
  );
  if (!before)
    return (
      <li class="version">
        {head}
        <span class="faint small">
          {one.version > 1 ? "those before it are not kept" : "the first"}
        </span>
      </li>
    );
  const lines = lineDiff(textOf(before), textOf(one));
  if (lines.every((line) => line.kind === "same"))
    return (
      <li class="version">
        {head}
        <span class="faint small">called at another address</span>
      </li>
    );
  return (
    <li>
      <details open={isNow}>
        <summary class="version">
          {head}
          <span class="faint small">{changedIn(before, one).join(", ")}</span>
        </summary>
        <Diff lines={lines} />
      </details>
    </li>
  );
}

/** What of a version is compared, by name. */
function parts(one: FnVersion): { readonly [name: string]: Json } {
  const { version: _, createdAt: __, appVersion: ___, configuration, ...others } = one;
  return { ...others, ...configuration } as unknown as { readonly [name: string]: Json };
}

const textOf = (one: FnVersion): string => printExact(parts(one));

/** The names of what differs. */
function changedIn(before: FnVersion, one: FnVersion): readonly string[] {
  const [old, now] = [parts(before), parts(one)];
  const told = (value: Json | undefined) => (value === undefined ? "" : printExact(value));
  const names = [...new Set([...Object.keys(old), ...Object.keys(now)])];
  return names.filter((name) => told(old[name]) !== told(now[name]));
}
