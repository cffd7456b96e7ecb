/** What is old goes: messages beyond their chat's retention, and what nobody asks for any more. */

import { type Change, prefix } from "../store/change";
import type { Database } from "../store/database";
import { meta } from "../store/meta";
import { removeMessage, summariseChanged } from "./history";
import { DEFAULT_SETTINGS } from "./initial-state";
import { News } from "./news";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** How long what could not be read is kept, and a change whose message is not here. */
export const KEPT_MS = DAY_MS;
/** As long as a message of theirs may be on its way. */
const LOOSE_ENDS_KEPT_MS = 14 * DAY_MS;
/** A tombstone outlives its envelope by this much, for clocks that differ. */
const GRACE_HOURS = 2;
/** How many messages go in one transaction. */
const REMOVED_TOGETHER = 500;

/** Removes what is beyond the retention of its chat. */
export async function retain(
  database: Database,
  nowMs: number,
  publish: (news: News) => void,
): Promise<void> {
  const settings = (await meta(database.reader, "settings")) ?? DEFAULT_SETTINGS;
  for (const person of await database.reader.all("person")) {
    const { retentionDays } = person;
    const days = retentionDays === "global" ? settings.retentionDays : retentionDays;
    if (days === null) continue;
    const { identity } = person;
    const range = IDBKeyRange.bound([identity, 0], [identity, nowMs - days * DAY_MS]);
    let more = true;
    while (more) {
      const news = new News();
      more = await database.change(async (change) => {
        const query = { index: "bySaved", range, limit: REMOVED_TOGETHER } as const;
        const old = await change.all("message", query);
        // What is still on its way is kept until it has arrived or failed.
        const gone = old.filter((row) => row.mine === 0 || row.state !== "saved");
        for (const row of gone) removeMessage(change, news, row);
        await summariseChanged(change, news);
        return gone.length === REMOVED_TOGETHER;
      });
      publish(news);
    }
  }
}

/** Lets go of what was kept for a while. */
export async function tidy(database: Database, nowMs: number): Promise<void> {
  await database.change(async (change) => {
    const hours = Math.floor(nowMs / HOUR_MS) - GRACE_HOURS;
    const opened = { index: "byExpiry", range: IDBKeyRange.upperBound(hours, true) } as const;
    for (const id of await change.keys("opened", opened)) change.remove("opened", id);
    const kept = IDBKeyRange.upperBound(nowMs - KEPT_MS, true);
    for (const row of await change.all("unreadable", { index: "byKept", range: kept })) {
      change.remove("unreadable", row.id);
    }
    for (const part of await change.all("part")) {
      if (part.keptMs < nowMs - 30 * DAY_MS) {
        change.remove("part", [part.peer, part.whole, part.number]);
      }
    }
    await tidyLooseEnds(change, nowMs);
  });
}

async function tidyLooseEnds(change: Change, nowMs: number): Promise<void> {
  for (const key of await change.keys("person")) {
    const identity = String(key);
    const query = { index: "byKept", range: prefix(identity) } as const;
    for (const end of await change.all("looseEnd", query)) {
      if (end.keptMs < nowMs - LOOSE_ENDS_KEPT_MS)
        change.remove("looseEnd", [end.chat, end.target, end.id]);
    }
  }
}
