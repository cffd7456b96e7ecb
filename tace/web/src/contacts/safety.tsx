import { useEffect, useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { useI18n } from "../app/i18n";
import type { Chat, SafetyNumber } from "../engine/contract";
import { Banner, Button, QrModules, Spinner } from "../ui";
import { byteModules } from "./byte-code";
import { ScanButtons } from "./scanner";

/** The safety number: both see the same, or somebody stands between them. */
export function Safety({ chat, name }: { chat: Chat; name: string }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const { identity } = chat;
  const [number, setNumber] = useState<SafetyNumber | null>(null);
  const [modules, setModules] = useState<boolean[][] | null>(null);
  // A result stays until it is closed: nobody should have to catch it in passing.
  const [result, setResult] = useState<{ good: boolean; text: string } | null>(null);
  useEffect(() => {
    let wanted = true;
    const load = async () => {
      const found = await calls.safetyNumber(identity);
      if (!wanted) return;
      setNumber(found);
      const drawn = await byteModules(found.qr);
      if (wanted) setModules(drawn);
    };
    load().catch((error) => wanted && setResult({ good: false, text: errorText(i18n, error) }));
    return () => {
      wanted = false;
    };
  }, [calls, i18n, identity]);
  const scanned = (bytes: Uint8Array) =>
    void calls.scanSafety(identity, bytes).then(
      (same) =>
        setResult({
          good: same,
          text: t(same ? "contacts.safety.same" : "contacts.safety.different", { name }),
        }),
      (error) => setResult({ good: false, text: errorText(i18n, error) }),
    );
  const setVerified = (verified: boolean) =>
    void calls
      .setVerified(identity, verified)
      .catch((error) => setResult({ good: false, text: errorText(i18n, error) }));
  return (
    <section class="contacts-section" aria-labelledby="safety-title">
      <h2 id="safety-title">{t("contacts.safety.title")}</h2>
      <p class="muted">{t("contacts.safety.text", { name })}</p>
      <div role="alert">
        {result ? (
          <Banner
            tone={result.good ? "accent" : "danger"}
            icon={result.good ? "shieldCheck" : "warning"}
            action={<Button onClick={() => setResult(null)}>{t("app.close")}</Button>}
          >
            {result.text}
          </Banner>
        ) : null}
      </div>
      {number ? (
        <div class="safety">
          {/* biome-ignore lint/a11y/noRedundantRoles: without its marks Safari takes a list for none */}
          <ol role="list" class="safety-groups" aria-label={t("contacts.safety.number")} dir="ltr">
            {number.groups.map((group, at) => (
              <li key={at}>{group}</li>
            ))}
          </ol>
          <QrModules modules={modules} label={t("contacts.safety.qr")} />
        </div>
      ) : result ? null : (
        <Spinner label={t("app.loading")} />
      )}
      <ScanButtons read={(reading, image) => reading.bytesIn(image)} onFound={scanned} />
      <div class="contacts-buttons">
        {chat.verified ? (
          <Button onClick={() => setVerified(false)}>{t("contacts.safety.unverify")}</Button>
        ) : (
          <Button icon="shieldCheck" onClick={() => setVerified(true)}>
            {t("contacts.safety.verify")}
          </Button>
        )}
      </div>
    </section>
  );
}
