/** The made-up engine in a state that is to be looked at: `?sample`, `?sample=new`, `?sample=offline`. */

import type { Engine, EngineState } from "../engine/contract";
import { emptyEngine, fakeEngine, sampleEngine } from "../engine/fake";
import { sampleMe, sampleNodes, sampleRing } from "../engine/sample";

const OFFLINE_MS = 12_000;

export function sampleEngineFor(name: string): Engine {
  const now = Date.now();
  if (name === "new") return emptyEngine();
  if (name === "alone") {
    const nodes = sampleNodes(now);
    return fakeEngine({
      me: sampleMe("Ada"),
      chats: [],
      messages: [],
      nodes,
      ring: sampleRing(now),
    });
  }
  const engine = sampleEngine();
  const changes: Record<string, Partial<EngineState>> = {
    loading: { phase: { at: "loading" } },
    replaced: { phase: { at: "replaced" } },
    blocked: { phase: { at: "blocked", why: "insecure" } },
    offline: {
      connection: { at: "offline", retryAtMs: now + OFFLINE_MS, why: "nodes" },
      waiting: 2,
    },
    saved: { backup: { codeSaved: true, lastExportMs: now - 3 * 86_400_000 } },
  };
  engine.state = { ...engine.state, ...changes[name] };
  return engine;
}
