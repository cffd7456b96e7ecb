import { useEffect, useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { useI18n } from "../app/i18n";
import { saveFile } from "../app/save-file";
import type { FileInfo, Message } from "../engine/contract";
import { Button, Icon, Progress, useFeedback } from "../ui";
import { harmlessName } from "./harmless";

/** What is shown; anything else is a download, whatever it calls itself. */
const SHOWN_TYPES: ReadonlySet<string> = new Set(["image/webp", "image/jpeg", "image/png"]);
/** Downloads never get a type that a browser would open by itself. */
const DOWNLOAD_TYPE = "application/octet-stream";

export function FileView({ message, file }: { message: Message; file: FileInfo }) {
  const i18n = useI18n();
  const { t, dates } = i18n;
  const { calls } = useEngine();
  const feedback = useFeedback();
  const name = harmlessName(file.name);
  const size = dates.bytes(file.bytes);
  const isImage = SHOWN_TYPES.has(file.type);
  const problem = (error: unknown) => feedback.show(errorText(i18n, error), { tone: "problem" });
  const save = () =>
    calls.fileBytes(message.id).then((bytes) => {
      saveFile(name, DOWNLOAD_TYPE, new Uint8Array(bytes));
    }, problem);
  const fetch = () => void calls.fetchFile(message.id).catch(problem);

  return (
    <div class="message-file">
      {isImage && file.state === "here" ? (
        <Picture id={message.id} type={file.type} name={name} />
      ) : null}
      <div class="message-file-line">
        <Icon name={isImage ? "image" : "file"} />
        <span class="message-file-text">
          <bdi class="message-file-name">{name}</bdi>
          <span class="message-file-size">{size}</span>
        </span>
      </div>
      {file.state === "remote" || file.state === "failed" ? (
        <>
          {file.state === "failed" ? (
            <p class="message-file-note">{t("chat.file.failed")}</p>
          ) : null}
          <Button icon="download" onClick={fetch}>
            {t("chat.file.fetch", { size })}
          </Button>
        </>
      ) : null}
      {file.state === "moving" ? (
        <Progress value={file.progress} label={t("chat.file.moving")} />
      ) : null}
      {file.state === "gone" ? <p class="message-file-note">{t("chat.file.gone")}</p> : null}
      {file.state === "here" ? (
        <Button icon="download" variant="quiet" onClick={() => void save()}>
          {t("app.save")}
        </Button>
      ) : null}
    </div>
  );
}

/**
 * An image from bytes that are here. It is drawn once more on a canvas, and that is shown: what the
 * page shows was made by this browser, not by the sender.
 */
function Picture(props: { id: string; type: string; name: string }) {
  const { t } = useI18n();
  const { calls } = useEngine();
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    let made: string | null = null;
    let wanted = true;
    const draw = async () => {
      const [bytes, { redrawn }] = await Promise.all([
        calls.fileBytes(props.id),
        import("./image"),
      ]);
      const blob = await redrawn(new Blob([new Uint8Array(bytes)], { type: props.type }));
      if (!wanted) return;
      made = URL.createObjectURL(blob);
      setUrl(made);
    };
    // What is no image stays a download.
    draw().catch(() => undefined);
    return () => {
      wanted = false;
      if (made) URL.revokeObjectURL(made);
    };
  }, [props.id, props.type, calls]);
  return url ? (
    <img class="message-picture" src={url} alt={t("chat.file.image", { name: props.name })} />
  ) : null;
}
