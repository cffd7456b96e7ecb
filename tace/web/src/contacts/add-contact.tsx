import { useEffect, useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { useI18n } from "../app/i18n";
import { hrefOf, useRouter } from "../app/route";
import { harmlessName } from "../chat/harmless";
import type { ContactPreview } from "../engine/contract";
import { Avatar, Banner, Button, CopyButton, Field, QrCode, Screen, useFeedback } from "../ui";
import "./contacts.css";
import { ScanButtons } from "./scanner";

/** Adds somebody: by link or code, typed or scanned; and shows what the others need of oneself. */
export function AddContact({ code }: { code: string | null }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const [text, setText] = useState(code ?? "");
  const [error, setError] = useState<string | null>(null);
  const [found, setFound] = useState<ContactPreview | null>(null);
  const look = async (given: string) => {
    setText(given);
    setFound(null);
    setError(null);
    if (!given.trim()) {
      setError(t("contacts.add.missing"));
      return;
    }
    try {
      setFound(await calls.previewContact(given));
    } catch (refusal) {
      setError(errorText(i18n, refusal));
    }
  };
  useEffect(() => {
    if (code) void look(code);
  }, [code]);
  return (
    <Screen
      title={t("contacts.add.title")}
      back={{ href: hrefOf({ at: "chats" }), label: t("app.back") }}
    >
      {found ? (
        <Confirm key={found.identity} found={found} onBack={() => setFound(null)} />
      ) : (
        <section class="contacts-section">
          <h2>{t("contacts.add.theirs")}</h2>
          <form
            class="contacts-form"
            noValidate
            onSubmit={(event) => {
              event.preventDefault();
              void look(text);
            }}
          >
            <Field
              label={t("contacts.add.field")}
              hint={t("contacts.add.hint")}
              value={text}
              error={error}
              onInput={(value) => {
                setText(value);
                setError(null);
              }}
              autocomplete="off"
              autocapitalize="none"
              spellcheck={false}
              dir="ltr"
            />
            <Button type="submit" variant="primary">
              {t("contacts.add.look")}
            </Button>
          </form>
          <ScanButtons
            read={(reading, image) => reading.textIn(image)}
            onFound={(scanned) => void look(scanned)}
          />
        </section>
      )}
      <MyLink />
    </Screen>
  );
}

/** Whom one is about to add, before anything happens. */
function Confirm({ found, onBack }: { found: ContactPreview; onBack: () => void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const router = useRouter();
  const [alias, setAlias] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string | null>(null);
  const name = harmlessName(found.title);
  const open = () => router.go({ at: "chat", identity: found.identity, message: null });
  const add = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    try {
      await calls.addContact(found.code, alias.trim());
      open();
    } catch (refusal) {
      setError(errorText(i18n, refusal));
      setBusy(false);
    }
  };
  return (
    <section class="contacts-section" aria-label={t("contacts.add.whom")}>
      <div class="contacts-card">
        <Avatar identity={found.identity} name={name} size="l" />
        <div class="contacts-card-text">
          <h2>
            <bdi>{name}</bdi>
          </h2>
          <p class="muted">{t(`contacts.standing.${found.standing}`)}</p>
          <code class="code" dir="ltr">
            {found.code}
          </code>
        </div>
      </div>
      {found.standing === "me" ? (
        <Banner icon="info">{t("errors.own-link")}</Banner>
      ) : found.standing === "contact" ? (
        <Button variant="primary" icon="chat" onClick={open}>
          {t("contacts.add.open")}
        </Button>
      ) : (
        <form class="contacts-form" onSubmit={add} noValidate>
          <Field
            label={t("contacts.add.alias")}
            hint={t("contacts.add.alias-hint")}
            value={alias}
            maxLength={64}
            error={error}
            onInput={setAlias}
            autocomplete="off"
            dir="auto"
          />
          <Button type="submit" variant="primary" icon="add" busy={busy}>
            {t("contacts.add.go")}
          </Button>
        </form>
      )}
      <Button variant="quiet" onClick={onBack}>
        {t("contacts.add.other")}
      </Button>
    </section>
  );
}

function MyLink() {
  const { t } = useI18n();
  const feedback = useFeedback();
  const { me } = useEngine().state.value;
  if (!me) return null;
  const refused = () => feedback.show(t("errors.no-clipboard"), { tone: "problem" });
  return (
    <section class="contacts-section" aria-labelledby="my-link">
      <h2 id="my-link">{t("contacts.mine.title")}</h2>
      <p class="muted">{t("contacts.mine.text")}</p>
      <div class="contacts-mine">
        <QrCode text={me.link} label={t("contacts.mine.qr")} />
        <div class="contacts-mine-text">
          <code class="code" dir="ltr">
            {me.link}
          </code>
          <div class="contacts-buttons">
            <CopyButton
              text={me.link}
              label={t("contacts.mine.copy-link")}
              copiedLabel={t("app.copied")}
              onRefused={refused}
            />
            <CopyButton
              text={me.code}
              label={t("contacts.mine.copy-code")}
              copiedLabel={t("app.copied")}
              variant="quiet"
              onRefused={refused}
            />
          </div>
        </div>
      </div>
    </section>
  );
}
