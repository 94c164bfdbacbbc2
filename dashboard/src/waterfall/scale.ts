/**
 * From moments to places on the page. Long stretches in which nothing ran are drawn short, so that
 * a run that slept three days still shows where its milliseconds went. Pure.
 */

export interface Stretch {
  readonly from: number;
  readonly to: number;
}

export interface Gap extends Stretch {
  /** Where it lies on the page, as shares of the width. */
  readonly left: number;
  readonly right: number;
}

export interface Scale {
  /** A moment as a share of the width, 0 to 1. */
  readonly place: (moment: number) => number;
  readonly gaps: readonly Gap[];
  readonly ticks: readonly { readonly left: number; readonly after: number }[];
}

/** A quiet stretch shorter than this many times all that is busy is drawn as it is. */
const QUIET_TIMES = 3;
/** What is shorter is drawn as it is, however little ran: nobody calls it a pause. */
const QUIET_MIN_MS = 1000;
const GAP_SHARE = 0.18;
const GAPS_SHARE_MAX = 0.5;
const TICKS = 5;
/** What the words beside a line of the grid take of the width. */
const LABEL_SHARE = 0.14;

/** The scale for a run from `from` to `to` in which something ran during `busy`. */
export function scaleOf(from: number, to: number, busy: readonly Stretch[]): Scale {
  const whole = Math.max(to - from, 1);
  const worked = merged(busy, from, to);
  const busyMs = worked.reduce((sum, one) => sum + one.to - one.from, 0);
  const quiet = between(worked, from, from + whole);
  const least = Math.max(QUIET_TIMES * Math.max(busyMs, 1), QUIET_MIN_MS);
  const long = quiet.filter((one) => one.to - one.from > least);
  const gapShare = long.length === 0 ? 0 : Math.min(GAP_SHARE, GAPS_SHARE_MAX / long.length);
  const left = whole - long.reduce((sum, one) => sum + one.to - one.from, 0);
  const share = (1 - gapShare * long.length) / Math.max(left, 1);
  const place = (moment: number) => {
    const at = Math.min(Math.max(moment, from), from + whole);
    let placed = 0;
    let reached = from;
    for (const gap of long) {
      if (at <= gap.from) break;
      placed += (gap.from - reached) * share;
      placed += gapShare * Math.min((at - gap.from) / (gap.to - gap.from), 1);
      reached = Math.min(gap.to, at);
    }
    return Math.min(placed + Math.max(at - reached, 0) * share, 1);
  };
  const gaps = long.map((one) => ({ ...one, left: place(one.from), right: place(one.to) }));
  return { place, gaps, ticks: ticksOf(from, from + whole, place, gaps) };
}

/** Overlapping stretches as one, in order, within the bounds. */
export function merged(
  stretches: readonly Stretch[],
  from: number,
  to: number,
): readonly Stretch[] {
  const sorted = stretches
    .map((one) => ({ from: Math.max(one.from, from), to: Math.min(one.to, to) }))
    .filter((one) => one.to >= one.from)
    .sort((a, b) => a.from - b.from);
  const found: { from: number; to: number }[] = [];
  for (const one of sorted) {
    const last = found.at(-1);
    if (last && one.from <= last.to) last.to = Math.max(last.to, one.to);
    else found.push({ ...one });
  }
  return found;
}

function between(worked: readonly Stretch[], from: number, to: number): readonly Stretch[] {
  const edges = [from, ...worked.flatMap((one) => [one.from, one.to]), to];
  const found: Stretch[] = [];
  for (let place = 0; place < edges.length; place += 2) {
    const gap = { from: edges[place] as number, to: edges[place + 1] as number };
    if (gap.to > gap.from) found.push(gap);
  }
  return found;
}

function ticksOf(
  from: number,
  to: number,
  place: (moment: number) => number,
  gaps: readonly Gap[],
) {
  const found: { left: number; after: number }[] = [];
  for (let part = 0; part < TICKS; part += 1) {
    const left = part / TICKS;
    if (gaps.some((gap) => left > gap.left - LABEL_SHARE && left < gap.right)) continue;
    found.push({ left, after: momentAt(left, from, to, place) - from });
  }
  return found;
}

/** The moment that is drawn at a place; `place` never falls, so halving finds it. */
function momentAt(
  left: number,
  from: number,
  to: number,
  place: (moment: number) => number,
): number {
  let low = from;
  let high = to;
  for (let turn = 0; turn < 60 && high - low > 0.01; turn += 1) {
    const middle = (low + high) / 2;
    if (place(middle) < left) low = middle;
    else high = middle;
  }
  return high;
}
