import { useEffect, useRef, useState } from "preact/hooks";
import type { Image } from "qr/decode.js";
import { useI18n } from "../app/i18n";
import { Banner, Button, Dialog, FileButton, Spinner } from "../ui";
import "./contacts.css";

const LOOK_EVERY_MS = 150;

export interface ScanProps<Found> {
  /** What a picture holds, or null: then one goes on looking. */
  read: (reading: typeof import("./qr-reading"), image: Image) => Found | null;
  onFound: (found: Found) => void;
}

/** Two ways to read a code: the camera, and an image from a file. */
export function ScanButtons<Found>({ read, onFound }: ScanProps<Found>) {
  const { t } = useI18n();
  const [open, setOpen] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const fromFile = async (file: File) => {
    setBusy(true);
    setProblem(null);
    try {
      const reading = await import("./qr-reading");
      const found = read(reading, await reading.pixelsOf(file));
      if (found === null) setProblem(t("contacts.scan.no-code"));
      else onFound(found);
    } catch {
      setProblem(t("contacts.scan.no-image"));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="scan">
      <div class="scan-buttons">
        <Button icon="camera" onClick={() => setOpen(true)}>
          {t("contacts.scan.camera")}
        </Button>
        <FileButton
          accept="image/*"
          icon="image"
          busy={busy}
          onFile={(file) => void fromFile(file)}
        >
          {t("contacts.scan.image")}
        </FileButton>
      </div>
      <div role="alert">
        {problem ? (
          <Banner tone="warn" icon="warning">
            {problem}
          </Banner>
        ) : null}
      </div>
      {open ? (
        <CameraDialog
          read={read}
          onClose={() => setOpen(false)}
          onFound={(found) => {
            setOpen(false);
            onFound(found);
          }}
        />
      ) : null}
    </div>
  );
}

function CameraDialog<Found>(props: ScanProps<Found> & { onClose: () => void }) {
  const { t } = useI18n();
  const video = useRef<HTMLVideoElement>(null);
  const [state, setState] = useState<"starting" | "looking" | "refused" | "none">("starting");
  const latest = useRef(props);
  latest.current = props;
  useEffect(() => {
    let stream: MediaStream | null = null;
    let timer: ReturnType<typeof setTimeout>;
    let over = false;
    const stop = () => {
      over = true;
      clearTimeout(timer);
      for (const track of stream?.getTracks() ?? []) track.stop();
    };
    const start = async () => {
      const [camera, reading] = await Promise.all([
        navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } }),
        import("./qr-reading"),
      ]);
      stream = camera;
      const element = video.current;
      if (over || !element) return stop();
      element.srcObject = camera;
      await element.play();
      setState("looking");
      const look = async () => {
        const image = await reading.pixelsOf(element).catch(() => null);
        if (over) return;
        const found = image && latest.current.read(reading, image);
        if (found === null) timer = setTimeout(() => void look(), LOOK_EVERY_MS);
        else latest.current.onFound(found);
      };
      await look();
    };
    if (!navigator.mediaDevices) setState("none");
    else {
      start().catch((error) => {
        const refused = error instanceof DOMException && error.name === "NotAllowedError";
        if (!over) setState(refused ? "refused" : "none");
      });
    }
    return stop;
  }, []);
  return (
    <Dialog
      title={t("contacts.scan.title")}
      closeLabel={t("app.close")}
      onClose={props.onClose}
      actions={<Button onClick={props.onClose}>{t("app.cancel")}</Button>}
    >
      {state === "refused" || state === "none" ? (
        <Banner tone="warn" icon="camera">
          {t(state === "refused" ? "contacts.scan.refused" : "contacts.scan.no-camera")}
        </Banner>
      ) : (
        <>
          <video ref={video} class="scan-video" muted playsInline />
          {state === "starting" ? <Spinner label={t("app.loading")} /> : null}
          <p class="muted">{t("contacts.scan.hint")}</p>
        </>
      )}
    </Dialog>
  );
}
