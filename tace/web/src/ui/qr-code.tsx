import { useEffect, useState } from "preact/hooks";
import { Spinner } from "./progress";
import "./qr-code.css";

/** Modules round the code that stay empty; readers need them. */
const QUIET_ZONE = 4;

/** A QR code, always dark on light: many readers know nothing else. */
export function QrCode({ text, label }: { text: string; label: string }) {
  const [modules, setModules] = useState<boolean[][] | null>(null);
  useEffect(() => {
    let wanted = true;
    // Loaded when it is first shown: the start does without it.
    void import("qr").then(({ encodeQR }) => {
      if (wanted) setModules(encodeQR(text, "raw", { ecc: "medium", border: QUIET_ZONE }));
    });
    return () => {
      wanted = false;
    };
  }, [text]);
  return <QrModules modules={modules} label={label} />;
}

/** A code that was made already; null: not yet. */
export function QrModules({ modules, label }: { modules: boolean[][] | null; label: string }) {
  return (
    <div class="qr-code">
      {modules ? (
        <svg
          viewBox={`0 0 ${modules.length} ${modules.length}`}
          role="img"
          aria-label={label}
          shape-rendering="crispEdges"
        >
          <path d={pathOf(modules)} />
        </svg>
      ) : (
        <Spinner />
      )}
    </div>
  );
}

/** Each run of dark modules in a row as one flat box. */
export function pathOf(modules: boolean[][]): string {
  const runs: string[] = [];
  modules.forEach((row, y) => {
    let start = -1;
    for (let x = 0; x <= row.length; x += 1) {
      if (row[x] && start < 0) start = x;
      else if (!row[x] && start >= 0) {
        runs.push(`M${start} ${y}h${x - start}v1h${start - x}z`);
        start = -1;
      }
    }
  });
  return runs.join("");
}
