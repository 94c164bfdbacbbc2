/** JSON as a tree that opens on demand: five megabytes cost what is open, not what is there. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { ExactNumber, type Json, printExact } from "../api/exact";
import { CopyButton } from "./copy";
import "./json.css";

const OPEN_DEPTH = 2;
const MEMBERS_AT_ONCE = 100;
const TEXT_AT_ONCE = 2000;

export function JsonView({ value, what }: { value: Json; what: string }): JSX.Element {
  return (
    <div class="json">
      <div class="json-tools">
        <CopyButton text={() => printExact(value)} what={what} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is scrolled by keys, too */}
      <div class="json-tree" tabIndex={0}>
        <Node value={value} depth={0} />
      </div>
    </div>
  );
}

function Node({ value, depth, name }: { value: Json; depth: number; name?: string }): JSX.Element {
  if (value instanceof ExactNumber)
    return <Leaf {...named(name)} kind="number" text={value.text} />;
  if (typeof value === "string") return <Text {...named(name)} text={value} />;
  if (value === null) return <Leaf {...named(name)} kind="word" text="null" />;
  if (typeof value !== "object") {
    return (
      <Leaf
        {...named(name)}
        kind={typeof value === "number" ? "number" : "word"}
        text={String(value)}
      />
    );
  }
  return <Members value={value} depth={depth} {...named(name)} />;
}

const named = (name: string | undefined) => (name === undefined ? {} : { name });

function Name({ name }: { name?: string }): JSX.Element | null {
  return name === undefined ? null : (
    <span class="json-name">
      <bdi>{name}</bdi>:{" "}
    </span>
  );
}

function Leaf({ name, kind, text }: { name?: string; kind: string; text: string }): JSX.Element {
  return (
    <div class="json-line">
      <Name {...named(name)} />
      <span class={`json-${kind}`}>{text}</span>
    </div>
  );
}

function Text({ name, text }: { name?: string; text: string }): JSX.Element {
  const [whole, setWhole] = useState(text.length <= TEXT_AT_ONCE);
  const lines = text.includes("\n");
  return (
    <div class="json-line">
      <Name {...named(name)} />
      {lines ? (
        <bdi class="json-text json-block">{text.slice(0, whole ? text.length : TEXT_AT_ONCE)}</bdi>
      ) : (
        <span class="json-text">
          "<bdi>{JSON.stringify(whole ? text : text.slice(0, TEXT_AT_ONCE)).slice(1, -1)}</bdi>"
        </span>
      )}
      {!whole && (
        <button type="button" class="json-more" onClick={() => setWhole(true)}>
          {(text.length - TEXT_AT_ONCE).toLocaleString()} more characters
        </button>
      )}
    </div>
  );
}

type Group = readonly Json[] | { readonly [name: string]: Json };

function Members({
  value,
  depth,
  name,
}: {
  value: Group;
  depth: number;
  name?: string;
}): JSX.Element {
  const list = Array.isArray(value);
  const names = list ? [] : Object.keys(value);
  const count = list ? value.length : names.length;
  const [open, setOpen] = useState(depth < OPEN_DEPTH && count <= MEMBERS_AT_ONCE);
  const [shown, setShown] = useState(MEMBERS_AT_ONCE);
  const [begin, end] = list ? ["[", "]"] : ["{", "}"];
  if (count === 0) return <Leaf {...named(name)} kind="mark" text={begin + end} />;
  const summary = list
    ? `${count} item${count === 1 ? "" : "s"}`
    : `${count} field${count === 1 ? "" : "s"}`;
  return (
    <div class="json-group">
      <button
        type="button"
        class="json-line json-fold"
        aria-expanded={open}
        onClick={() => setOpen(!open)}
      >
        <span class="json-arrow" aria-hidden="true" />
        <Name {...named(name)} />
        <span class="json-mark">{open ? begin : `${begin}…${end}`}</span>
        {!open && <span class="json-count">{summary}</span>}
      </button>
      {open && (
        <>
          <div class="json-inner">
            {Array.from({ length: Math.min(count, shown) }, (_, place) => {
              const key = list ? String(place) : (names[place] as string);
              const member = (value as Record<string, Json>)[key] as Json;
              return (
                <Node key={key} value={member} depth={depth + 1} {...(list ? {} : { name: key })} />
              );
            })}
            {count > shown && (
              <button
                type="button"
                class="json-more"
                onClick={() => setShown(shown + 10 * MEMBERS_AT_ONCE)}
              >
                {(count - shown).toLocaleString()} more
              </button>
            )}
          </div>
          <div class="json-line json-mark json-end">{end}</div>
        </>
      )}
    </div>
  );
}
