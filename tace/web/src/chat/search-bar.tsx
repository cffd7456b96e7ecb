import { useEffect, useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { useI18n } from "../app/i18n";
import type { Identity, MessageId } from "../engine/contract";
import { Field, IconButton } from "../ui";

/** Keys come faster than answers are needed. */
const AFTER_MS = 20;
const MOST_HITS = 500;

/** Search inside one chat: "n of m", each result shown in its place. */
export function SearchBar(props: {
  chat: Identity;
  onText: (text: string) => void;
  onHit: (id: MessageId) => void;
  onClose: () => void;
}) {
  const { t } = useI18n();
  const { calls } = useEngine();
  const [text, setText] = useState("");
  const [hits, setHits] = useState<MessageId[] | null>(null);
  const [at, setAt] = useState(0);
  useEffect(() => {
    const wanted = text.trim();
    let current = true;
    const timer = setTimeout(() => {
      props.onText(wanted);
      if (!wanted) {
        setHits(null);
        return;
      }
      calls.search({ text: wanted, chat: props.chat, limit: MOST_HITS }).then(
        (found) => {
          if (!current) return;
          setHits(found.hits.map((hit) => hit.id));
          setAt(0);
        },
        () => current && setHits([]),
      );
    }, AFTER_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [text, props.chat, calls]);
  const go = (to: number) => {
    const id = hits?.[to];
    if (!id) return;
    setAt(to);
    props.onHit(id);
  };
  const count = hits?.length ?? 0;
  return (
    <search
      class="search-bar"
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          event.stopPropagation();
          event.preventDefault();
          props.onClose();
        }
      }}
    >
      <form
        class="search-bar-form"
        onSubmit={(event) => {
          event.preventDefault();
          go(at);
        }}
      >
        <Field
          type="search"
          label={t("chat.search.in-chat")}
          labelHidden
          placeholder={t("chat.search.in-chat")}
          value={text}
          onInput={setText}
          autocomplete="off"
          dir="auto"
          autofocus
        />
      </form>
      <span class="search-bar-count" role="status">
        {hits === null
          ? ""
          : count === 0
            ? t("chat.search.no-hit")
            : t("chat.search.position", { at: at + 1, count })}
      </span>
      <IconButton
        class="search-bar-up"
        icon="down"
        label={t("chat.search.previous")}
        disabled={at + 1 >= count}
        onClick={() => go(at + 1)}
      />
      <IconButton
        icon="down"
        label={t("chat.search.next")}
        disabled={at <= 0}
        onClick={() => go(at - 1)}
      />
      <IconButton icon="close" label={t("chat.search.close")} onClick={props.onClose} />
    </search>
  );
}
