/**
 * Takes an export file in as a page does, and gives out what the page then exports: lines of JSON
 * in, lines of JSON out, bytes in hexadecimal.
 *
 * tests/client/test_web_export.py bundles and runs it, to play the command line against the page.
 */

import { createInterface } from "node:readline";
import { parseRecoveryCode } from "../../e2ee/recovery";
import { emptyDatabase } from "../../store/testing/database";
import { fromHex, hex } from "../../wire/bytes";
import { EngineError } from "../contract";
import { exportAll, importAll } from "../exporting";
import { DatabaseQueries } from "../queries";

const NOW_MS = 1_800_000_000_000;
const random = (count: number) => crypto.getRandomValues(new Uint8Array(count));

interface Asked {
  readonly code: string;
  readonly file: string;
}

async function through({ code: text, file }: Asked): Promise<object> {
  const code = await parseRecoveryCode(text);
  const database = await emptyDatabase();
  const { report } = await database.change((change) => importAll(change, fromHex(file), code));
  const queries = new DatabaseQueries(database.reader);
  const chats = await queries.chats();
  const lines = await Promise.all(
    chats.map(async (chat) => (await queries.messages(chat.identity, { limit: 1000 })).messages),
  );
  return { report, chats, lines, file: hex(await exportAll(database, NOW_MS, random)) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line) as Asked;
  let told: object;
  try {
    told = await through(asked);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    told = { error: error.code };
  }
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
