/** A schedule in words. Pure. */

import cronstrue from "cronstrue";
import type { Cron } from "../../api/model";
import { length } from "../../parts/time";

/** "At 09:00, Monday through Friday"; the schedule itself where it cannot be put in words. */
export function wordsOf(schedule: string): string {
  const fields = schedule.trim().replace(/^(?:CRON_)?TZ=\S*\s+/, "");
  try {
    return cronstrue.toString(fields, { use24HourTimeFormat: true });
  } catch {
    return schedule;
  }
}

/** What the next change of the clocks does to a schedule; nothing where they do not change. */
export function clockNote(cron: Cron, dateOf: (iso: string) => string): string {
  const change = cron.clockChange;
  if (!change) return "";
  const by = length(Math.abs(change.minutes) * 60_000);
  const [minute = "", hour = ""] = cron.schedule
    .trim()
    .replace(/^(?:CRON_)?TZ=\S*\s+/, "")
    .split(/\s+/);
  const when = `Clocks in ${cron.zone} go ${change.minutes > 0 ? "forward" : "back"} ${by} on ${dateOf(change.at)}`;
  if (minute.includes("*") || hour.includes("*"))
    return `${when}; it goes by real time throughout.`;
  return change.minutes > 0
    ? `${when}: a time that is skipped runs right after the gap.`
    : `${when}: a time that comes twice runs the first time.`;
}
