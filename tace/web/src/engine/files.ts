/**
 * Files of one chunk: sealed and put at the nodes before the message that names them is sent, and
 * fetched when somebody asks for them (docs/protocol/e2ee.md, section 9).
 */

import { openChunk, sealChunk } from "../e2ee/file";
import { SLOWEST_MS } from "../network/backoff";
import { type Clock, delay } from "../network/clock";
import { type Connection, MAX_STAMP_BITS } from "../network/connection";
import { NoNode } from "../network/errors";
import type { Database } from "../store/database";
import { waitingForUpload } from "../store/outbox";
import type { FileRow } from "../store/rows";
import { type Bytes, concat, equal } from "../wire/bytes";
import { GetBlob, PutBlob } from "../wire/client";
import { sha256 } from "../wire/digest";
import { Malformed, Refusal } from "../wire/errors";
import { latestHours } from "./addressing";
import { EngineError, type MessageId } from "./contract";
import { News } from "./news";
import type { Outbox } from "./outbox";
import { type Stamper, wantedBits } from "./stamping";

/** What fits into one chunk. */
export const MAX_FILE_BYTES = 63_472;
/** Of files that others send: 4 MiB, kept whole in the database. */
const MAX_FETCHED_CHUNKS = 66;
const HOUR_MS = 3_600_000;
const AGAIN_MS = 5_000;
/** How often a chunk is asked for before the whole file is given up. */
const ATTEMPTS = 8;
const FIRST_PAUSE_MS = 1_000;

/** Puts files at the nodes. */
export class Uploads {
  private notBeforeMs = 0;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly stamper: Stamper,
    private readonly publish: (news: News) => void,
  ) {}

  /** Does a file wait, and is it time to try? */
  async due(nowMs: number): Promise<boolean> {
    return nowMs >= this.notBeforeMs && (await waitingForUpload(this.database.reader)).length > 0;
  }

  /**
   * Put what waits at a node; what it does not take waits, for another one where there is one.
   *
   * @param elsewhere whether another node is asked next.
   * @returns null, or how long the node that will not take something wants to be left alone.
   */
  async upload(connection: Connection, elsewhere: boolean): Promise<number | null> {
    if (this.clock.now() < this.notBeforeMs) return null;
    for (const outgoing of await waitingForUpload(this.database.reader)) {
      const id = outgoing.upload;
      const row = id === null ? undefined : await this.database.reader.get("message", id);
      const bytes = id === null ? undefined : await this.database.reader.get("file", id);
      const pauseMs = row?.file && bytes ? await this.put(connection, row.file, bytes.bytes) : null;
      if (pauseMs !== null) {
        const wantedMs = elsewhere ? 0 : Math.min(SLOWEST_MS, pauseMs);
        this.notBeforeMs = this.clock.now() + Math.max(AGAIN_MS, wantedMs);
        return pauseMs;
      }
      const news = new News();
      await this.database.change(async (change) => {
        const waiting = await change.get("outgoing", outgoing.seq);
        // Its message was deleted meanwhile: there is nothing to send.
        if (!row?.file || !bytes) change.remove("outgoing", outgoing.seq);
        else if (waiting) change.put("outgoing", { ...waiting, upload: null, addressed: 0 });
      });
      if (row) news.message(row.chat, row.id);
      this.publish(news);
    }
    return null;
  }

  /** Null when it is stored, else how long the node wants to be left alone. */
  private async put(connection: Connection, file: FileRow, bytes: Bytes): Promise<number | null> {
    const [hash] = file.hashes;
    if (!hash) return null;
    const { requestsStampBits, maxLifetimeHours } = connection.challenge;
    const blob = await sealChunk(file.key, 0, 1, bytes);
    const latest = latestHours(connection.nodeNow / 1000, maxLifetimeHours);
    for (let bits = requestsStampBits; ; ) {
      const stamp = await this.stamper.search(hash, bits);
      try {
        const { state } = await connection.request(PutBlob, {
          blob,
          expiresHours: Math.min(file.expiresHours, latest),
          stampTarget: stamp.target,
          stampNonce: Number(stamp.nonce),
        });
        return state === "stored" ? null : 0;
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        const wanted = error.code === "stamp-required" ? wantedBits(error.detail) : 0;
        if (!(wanted > bits && wanted <= MAX_STAMP_BITS)) return error.retryAfterMs;
        bits = wanted;
      }
    }
  }
}

/** Fetches a file and keeps it. */
export async function fetchFile(
  database: Database,
  outbox: Outbox,
  id: MessageId,
  clock: Clock,
  publish: (news: News) => void,
): Promise<void> {
  const row = await database.reader.get("message", id);
  if (!row?.file) throw new EngineError("no-file");
  const { file } = row;
  if (file.state === "here") return;
  if (file.hashes.length > MAX_FETCHED_CHUNKS) throw new EngineError("too-large");
  const set = async (state: FileRow["state"], progress: number, bytes?: Bytes) => {
    const news = new News();
    await database.change(async (change) => {
      const known = await change.get("message", id);
      if (!known?.file) return;
      change.put("message", { ...known, file: { ...known.file, state, progress } });
      if (bytes) change.put("file", { id, bytes });
      news.message(known.chat, id);
    });
    publish(news);
  };
  await set("moving", 0);
  try {
    const pieces: Bytes[] = [];
    for (const [index, hash] of file.hashes.entries()) {
      const blob = await fetchBlob(outbox, hash, clock);
      if (!blob.length) {
        await set(file.expiresHours * HOUR_MS <= clock.now() ? "gone" : "failed", 0);
        return;
      }
      if (!equal(await sha256(blob), hash)) throw new Malformed("another blob than was asked for");
      pieces.push(await openChunk(file.key, index, file.hashes.length, blob));
      await set("moving", (index + 1) / file.hashes.length);
    }
    await set("here", 1, concat(...pieces).slice(0, file.bytes));
  } catch (error) {
    await set("failed", 0);
    throw error;
  }
}

/** A node that is busy says until when, and is waited for. Empty where nobody has it. */
async function fetchBlob(outbox: Outbox, hash: Bytes, clock: Clock): Promise<Bytes> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await outbox.ask(async (connection) => {
        const { blob } = await connection.request(GetBlob, { hash });
        return blob;
      });
    } catch (error) {
      const said = error instanceof NoNode ? error.cause : null;
      const wantedMs = said instanceof Refusal ? said.retryAfterMs : 0;
      if (!wantedMs || attempt === ATTEMPTS) throw error;
      const pauseMs = Math.max(FIRST_PAUSE_MS * 2 ** (attempt - 1), wantedMs);
      await delay(clock, Math.min(SLOWEST_MS, pauseMs), outbox.ended);
    }
  }
}
