/** The run on a page: one line a span, and where its time went. */

import type { JSX } from "preact";
import { useMemo, useRef, useState } from "preact/hooks";
import type { Span, Spent } from "../api/model";
import { Icon, type IconName } from "../parts/icon";
import { Status, shown } from "../parts/status";
import { length, now } from "../parts/time";
import { useWindow } from "../parts/window";
import { type Bar, barsOf, freeSince, type Line, linesOf, scaleOfTrace } from "./lines";
import type { Scale } from "./scale";
import { TimeSpent } from "./time_spent";
import "./waterfall.css";

const LINE_PX = 34;

const ICONS: Record<string, IconName> = {
  Sleep: "sleep",
  WaitForEvent: "wait",
  WaitForSignal: "signal",
  InvokeFunction: "invoke",
  AIGateway: "ai",
  Gateway: "fetch",
};

interface Props {
  readonly root: Span;
  readonly spent: Spent | undefined;
  readonly chosen: string | undefined;
  readonly onChoose: (id: string) => void;
}

export function Waterfall({ root, spent, chosen, onChoose }: Props): JSX.Element {
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const ended = root.endedAt !== undefined;
  const nowMs = ended ? Date.parse(root.endedAt ?? "") : now.value;
  const lines = useMemo(() => linesOf(root, closed), [root, closed]);
  const scale = useMemo(() => scaleOfTrace(root, nowMs), [root, nowMs]);
  const free = useMemo(() => freeSince(root), [root]);
  const list = useRef<HTMLDivElement>(null);
  const seen = useWindow(list, lines.length, LINE_PX);

  const fold = (id: string) => {
    const next = new Set(closed);
    if (!next.delete(id)) next.add(id);
    setClosed(next);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const at = Math.max(
      lines.findIndex((line) => line.span.id === chosen),
      0,
    );
    const next = lines[at + (STEPS[event.key] ?? 0)];
    const line = lines[at];
    if (STEPS[event.key] && next) onChoose(next.span.id);
    else if (line?.folds && event.key === (line.open ? "ArrowLeft" : "ArrowRight"))
      fold(line.span.id);
    else return;
    event.preventDefault();
  };

  return (
    <div class="waterfall card">
      {spent && <TimeSpent spent={spent} />}
      <div class="fall-head" aria-hidden="true">
        <span />
        <div class="fall-ticks">
          {scale.ticks.map((tick) => (
            <span key={tick.left} style={{ left: share(tick.left) }}>
              {tick.after < 0.5 ? "0" : length(tick.after)}
            </span>
          ))}
        </div>
      </div>
      <div class="fall-body">
        <div
          class="fall-lines"
          ref={list}
          role="tree"
          tabIndex={0}
          aria-label="Timeline of the run"
          aria-activedescendant={chosen ? `span-${chosen}` : undefined}
          onKeyDown={onKeyDown}
        >
          <div style={{ height: `${seen.before}px` }} />
          {lines.slice(seen.first, seen.last).map((line) => (
            <LineRow
              key={line.span.id}
              line={line}
              scale={scale}
              bars={barsOf(line.span, nowMs, free.get(line.span.id))}
              chosen={line.span.id === chosen}
              onChoose={onChoose}
              onFold={fold}
            />
          ))}
          <div style={{ height: `${seen.after}px` }} />
        </div>
        <Gaps scale={scale} />
      </div>
    </div>
  );
}

const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 };

const share = (part: number): string => `${(part * 100).toFixed(3)}%`;

function Gaps({ scale }: { scale: Scale }): JSX.Element {
  return (
    <div class="fall-gaps" aria-hidden="true">
      <span />
      <div>
        {scale.gaps.map((gap) => (
          <span
            key={gap.from}
            class={gap.right - gap.left < GAP_ROOM ? "fall-gap narrow" : "fall-gap"}
            style={{ left: share(gap.left), width: share(gap.right - gap.left) }}
            title={`Nothing ran for ${length(gap.to - gap.from)}; drawn short`}
          >
            {gap.right - gap.left >= GAP_ROOM && <i>{length(gap.to - gap.from)}</i>}
          </span>
        ))}
      </div>
    </div>
  );
}

interface LineProps {
  readonly line: Line;
  readonly scale: Scale;
  readonly bars: readonly Bar[];
  readonly chosen: boolean;
  readonly onChoose: (id: string) => void;
  readonly onFold: (id: string) => void;
}

function LineRow({ line, scale, bars, chosen, onChoose, onFold }: LineProps): JSX.Element {
  const { span, depth } = line;
  const end = bars.at(-1);
  const tone = `tone-${shown(span.status).tone}`;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the tree around it takes the keys
    <div
      id={`span-${span.id}`}
      class={`fall-line ${tone}${chosen ? " chosen" : ""}`}
      role="treeitem"
      tabIndex={-1}
      aria-level={depth + 1}
      aria-selected={chosen}
      aria-expanded={line.folds ? line.open : undefined}
      onClick={() => onChoose(span.id)}
    >
      <div class="fall-name" style={{ paddingLeft: `${depth * 0.9}rem` }}>
        {line.folds ? (
          <button
            type="button"
            class={`fall-fold${line.open ? " open" : ""}`}
            tabIndex={-1}
            aria-label={line.open ? "Fold" : "Unfold"}
            onClick={(event) => {
              event.stopPropagation();
              onFold(span.id);
            }}
          >
            <Icon name="chevron" size={12} />
          </button>
        ) : (
          <span class="fall-fold" />
        )}
        <Status status={span.status} bare />
        <bdi class="fall-text">{span.name}</bdi>
        {span.status !== "WAITING" && ICONS[span.stepOp ?? ""] && (
          <Icon name={ICONS[span.stepOp ?? ""] as IconName} size={13} />
        )}
        {span.status === "FAILED" && span.attempt !== undefined && span.children.length === 0 && (
          <span class="fall-try faint small">try {span.attempt + 1}</span>
        )}
      </div>
      <div class="fall-track">
        {bars.map((bar) => (
          <span
            key={bar.kind}
            class={`fall-bar ${bar.kind}`}
            title={`${SPENT[bar.kind]} ${length(bar.to - bar.from)}`}
            style={{
              left: share(scale.place(bar.from)),
              width: share(scale.place(bar.to) - scale.place(bar.from)),
            }}
          />
        ))}
        {end && end.to - end.from + nowhere(span) > 0 && (
          <Length bars={bars} scale={scale} end={end} />
        )}
      </div>
    </div>
  );
}

/** How long the last bar is: behind it, before it where the page ends, or within it. */
function Length({
  bars,
  scale,
  end,
}: {
  bars: readonly Bar[];
  scale: Scale;
  end: Bar;
}): JSX.Element {
  const left = scale.place((bars[0] ?? end).from);
  const right = scale.place(end.to);
  const [where, style] =
    right < 1 - ROOM
      ? ["", { left: share(right) }]
      : left > ROOM
        ? ["", { right: share(1 - left) }]
        : [" within", { left: share(left) }];
  return (
    <span class={`fall-length${where}`} style={style}>
      {length(end.to - end.from)}
    </span>
  );
}

/** What the words of a length take of the width. */
const ROOM = 0.15;
/** A stretch drawn short needs so much of the width for its length to be written above it. */
const GAP_ROOM = 0.08;

/** A failed attempt is told as the moment it failed: it has no length to write. */
const nowhere = (span: Span): number => (span.status === "FAILED" && !span.stepOp ? 0 : 1);

const SPENT = {
  queue: "queued",
  between: "between this and what came before",
  retry: "tried again for",
  work: "ran",
  rest: "waited",
} as const;
