import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { useI18n } from "../app/i18n";
import type { Chat, Message } from "../engine/contract";
import { Icon, IconButton, Spinner } from "../ui";
import { type Attachment, attachmentOf, FileRefused } from "./attachment";
import "./composer.css";
import { browserDrafts, type Drafts } from "./drafts";
import { harmlessName } from "./harmless";
import { MAX_FILE_BYTES, MAX_TEXT_BYTES, measureText } from "./measure";
import { newMessageId } from "./message-id";
import { contentLine } from "./preview";

export interface ComposerTask {
  what: "reply" | "edit";
  message: Message;
}

const DRAFT_AFTER_MS = 600;
const MOST_LINES_PIXELS = 200;

/** Where one writes. What is typed leaves the field only when the engine has it on the disk. */
export function Composer(props: {
  chat: Chat;
  name: string;
  task: ComposerTask | null;
  onTaskOver: () => void;
  /** Up in an empty field. @returns whether there is one to edit. */
  onEditLast: () => boolean;
  onSent: () => void;
  drafts?: Drafts;
}) {
  const { chat, task, name } = props;
  const { identity } = chat;
  const i18n = useI18n();
  const { t, dates } = i18n;
  const engine = useEngine();
  const [drafts] = useState(() => props.drafts ?? browserDrafts());
  const [text, setText] = useState(() => drafts.read(identity) ?? chat.draft);
  const [edited, setEdited] = useState("");
  const [file, setFile] = useState<Attachment | "preparing" | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [dropping, setDropping] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  const picker = useRef<HTMLInputElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const hasTyped = useRef(false);
  const editing = task?.what === "edit" ? task.message : null;
  const shown = editing ? edited : text;
  const measure = measureText(shown);

  useEffect(() => {
    // The engine's copy may come after this was drawn; what is being typed here goes before it.
    if (!hasTyped.current && chat.draft && drafts.read(identity) === null) setText(chat.draft);
  }, [chat.draft]);

  // Before anything can be typed: later it would replace what was.
  useLayoutEffect(() => {
    if (task?.what === "edit") setEdited(task.message.text);
    if (task) field.current?.focus();
  }, [task]);

  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.blockSize = "auto";
    element.style.blockSize = `${Math.min(element.scrollHeight + 2, MOST_LINES_PIXELS)}px`;
  }, [shown, editing]);

  const keepDraft = (value: string) => {
    clearTimeout(timer.current);
    engine.calls.setDraft(identity, value).then(
      () => drafts.settled(identity, value),
      // The browser's own copy remains.
      () => undefined,
    );
  };
  const latest = useRef({ text, keepDraft });
  latest.current = { text, keepDraft };
  useEffect(
    () => () => {
      const { text: last, keepDraft: keep } = latest.current;
      if (drafts.read(identity) === last) keep(last);
    },
    [identity, drafts],
  );

  const type = (value: string) => {
    hasTyped.current = true;
    if (editing) {
      setEdited(value);
      return;
    }
    setText(value);
    if (!drafts.write(identity, value) && value) setProblem(t("chat.composer.unsaved"));
    clearTimeout(timer.current);
    timer.current = setTimeout(() => keepDraft(value), DRAFT_AFTER_MS);
  };

  const attach = async (files: FileList | null | undefined) => {
    const chosen = files?.[0];
    if (!chosen) return;
    setProblem(files.length > 1 ? t("chat.file.one") : null);
    setFile("preparing");
    try {
      setFile(await attachmentOf(chosen));
    } catch (refusal) {
      setFile(null);
      const why = refusal instanceof FileRefused ? refusal.why : "image-failed";
      setProblem(
        why === "too-large"
          ? t("chat.file.too-large", {
              name: harmlessName(chosen.name),
              size: dates.bytes(chosen.size),
              max: dates.bytes(MAX_FILE_BYTES),
            })
          : t("chat.file.image-failed"),
      );
    }
    field.current?.focus();
  };

  const canSend =
    measure.fits && file !== "preparing" && (shown.trim() !== "" || (file !== null && !editing));

  const send = async () => {
    if (!canSend) return;
    const replyTo = task?.what === "reply" ? task.message.id : null;
    props.onTaskOver();
    if (editing) {
      try {
        if (shown !== editing.text) await engine.calls.edit(editing.id, shown);
      } catch (error) {
        // What was typed into the edit is not lost with it, nor is the draft beside it.
        restore(shown, error);
      }
      return;
    }
    const [sent, attached] = [text, file];
    setText("");
    setFile(null);
    setProblem(null);
    clearTimeout(timer.current);
    try {
      if (attached) {
        await engine.calls.sendFile(identity, newMessageId(), attached, replyTo);
        setFile(null);
      }
    } catch (error) {
      setFile(attached);
      restore(sent, error);
      return;
    }
    try {
      if (sent.trim()) {
        await engine.calls.send(identity, newMessageId(), sent, attached ? null : replyTo);
      }
      // Kept until here: a reload in between would have brought it back.
      drafts.settled(identity, sent);
      if (chat.draft) keepDraft(drafts.read(identity) ?? "");
      props.onSent();
    } catch (error) {
      restore(sent, error);
    }
  };

  const restore = (sent: string, error: unknown) => {
    setText((now) => {
      const whole = now ? `${sent}\n${now}` : sent;
      drafts.write(identity, whole);
      return whole;
    });
    setProblem(errorText(i18n, error));
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey && !touchOnly()) {
      event.preventDefault();
      void send();
    } else if (event.key === "Escape" && task) {
      event.preventDefault();
      event.stopPropagation();
      props.onTaskOver();
    } else if (event.key === "ArrowUp" && shown === "" && !task && props.onEditLast()) {
      event.preventDefault();
    }
  };

  const offline = engine.state.value.connection.at === "offline";
  return (
    <form
      class={dropping ? "composer composer-dropping" : "composer"}
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
      onDragOver={(event) => {
        if (!event.dataTransfer?.types.includes("Files")) return;
        event.preventDefault();
        setDropping(true);
      }}
      onDragLeave={() => setDropping(false)}
      onDrop={(event) => {
        event.preventDefault();
        setDropping(false);
        void attach(event.dataTransfer?.files);
      }}
    >
      {task ? (
        <div class="composer-task">
          <Icon name={task.what === "edit" ? "edit" : "reply"} size="s" />
          <div class="composer-task-text">
            <strong>{taskTitle(i18n, task, name)}</strong>
            <bdi>
              {contentLine(i18n, {
                kind: task.message.kind,
                text: task.message.file?.name ?? task.message.text,
              })}
            </bdi>
          </div>
          <IconButton
            icon="close"
            label={t(task.what === "edit" ? "chat.composer.end-edit" : "chat.composer.end-reply")}
            onClick={props.onTaskOver}
          />
        </div>
      ) : null}
      {file && !editing ? (
        <div class="composer-task">
          {file === "preparing" ? (
            <>
              <Spinner size="s" />
              <span class="composer-task-text">{t("chat.file.preparing")}</span>
            </>
          ) : (
            <>
              <Icon name={file.isSmaller ? "image" : "file"} size="s" />
              <span class="composer-task-text">
                {t(file.isSmaller ? "chat.file.smaller" : "chat.file.ready", {
                  name: harmlessName(file.name),
                  size: dates.bytes(file.bytes.length),
                })}
              </span>
              <IconButton
                icon="close"
                label={t("chat.file.remove")}
                onClick={() => setFile(null)}
              />
            </>
          )}
        </div>
      ) : null}
      <div class="composer-line">
        {editing ? null : (
          <>
            <IconButton
              icon="attach"
              label={t("chat.composer.attach")}
              onClick={() => picker.current?.click()}
            />
            <input
              ref={picker}
              type="file"
              hidden
              onChange={(event) => {
                const input = event.currentTarget;
                void attach(input.files).finally(() => {
                  input.value = "";
                });
              }}
            />
          </>
        )}
        <textarea
          ref={field}
          class="composer-field"
          rows={1}
          dir="auto"
          aria-label={t("chat.composer.label", { name })}
          placeholder={t("chat.composer.placeholder")}
          value={shown}
          aria-invalid={measure.fits ? undefined : "true"}
          aria-describedby="composer-notes"
          onInput={(event) => type(event.currentTarget.value)}
          onKeyDown={onKeyDown}
          onPaste={(event) => {
            const files = event.clipboardData?.files;
            if (!files?.length || editing) return;
            event.preventDefault();
            void attach(files);
          }}
        />
        <IconButton
          type="submit"
          variant="filled"
          icon={editing ? "check" : "send"}
          label={editing ? t("app.save") : t("chat.composer.send")}
          aria-disabled={!canSend}
        />
      </div>
      <div class="composer-notes" id="composer-notes" aria-live="polite">
        {problem ? <p class="composer-problem">{problem}</p> : null}
        {measure.fits ? null : (
          <p class="composer-problem">
            {t("chat.composer.too-large", {
              size: dates.bytes(measure.bytes),
              max: dates.bytes(MAX_TEXT_BYTES),
            })}
          </p>
        )}
        {measure.fits && measure.parts > 1 ? (
          <p>{t("chat.composer.parts", { count: measure.parts })}</p>
        ) : null}
        {dropping ? <p>{t("chat.composer.drop")}</p> : null}
        {offline ? <p>{t("chat.composer.offline")}</p> : null}
      </div>
    </form>
  );
}

function taskTitle(i18n: ReturnType<typeof useI18n>, task: ComposerTask, name: string): string {
  if (task.what === "edit") return i18n.t("chat.composer.edit");
  return task.message.mine
    ? i18n.t("chat.composer.reply-self")
    : i18n.t("chat.composer.reply", { name });
}

/** On a telephone Enter makes a line; the button sends. */
function touchOnly(): boolean {
  return matchMedia("(hover: none) and (pointer: coarse)").matches;
}
