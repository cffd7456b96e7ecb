import type { errors as english } from "../en/errors";
import type { Translated } from "../message";

export const errors: Translated<typeof english> = {
  unknown: "Das hat nicht geklappt. Versuche es noch einmal; bleibt es dabei, lade die Seite neu.",
  "bad-link": "Das ist kein Kontaktlink oder -code. Er beginnt mit tace1 und hat 63 Zeichen.",
  "own-link": "Das ist dein eigener Link. Gib ihn anderen und bitte sie um ihren.",
  "bad-recovery-code":
    "Dieser Wiederherstellungscode stimmt nicht. Vergleiche ihn Gruppe für Gruppe.",
  "code-forgotten":
    "Du hast gesagt, dass der Wiederherstellungscode gesichert ist. Darum hat diese Seite ihn vergessen.",
  "identity-exists": "In diesem Browser gibt es schon eine Identität. Lade die Seite neu.",
  "no-file": "Diese Datei ist nicht hier.",
  "not-a-safety-code": "Das ist kein Code einer Sicherheitsnummer.",
  "too-large": "Das ist zu groß zum Senden.",
  blocked: "tace kann in diesem Browser gerade nicht arbeiten.",
  failed: "tace ist beim Start gescheitert. Lade die Seite neu.",
  "bad-origin": "Das ist keine Adresse eines Knotens. Sie sieht aus wie https://example.org",
  "no-node": "Unter dieser Adresse gibt es keinen Knoten, oder er antwortet nicht.",
  "wrong-network": "Dieser Knoten gehört zu einem anderen Netz.",
  "bad-export": "Das ist kein Export von tace, oder er ist beschädigt.",
  "bad-contacts": "Das ist keine Kontaktdatei von tace, oder sie ist beschädigt.",
  "no-clipboard":
    "Der Browser hat das Kopieren nicht erlaubt. Markiere den Text und kopiere ihn von Hand.",
  "unknown-chat": "Diesen Chat gibt es hier nicht mehr.",
  "unknown-message": "Diese Nachricht gibt es hier nicht mehr.",
  "file-too-large": "Diese Datei ist zu groß, um hier gelesen zu werden.",
  closed: "Dieser Tab ist stillgelegt. Lade die Seite neu.",
  busy: "Gerade geschieht zu viel auf einmal. Versuche es gleich noch einmal.",
  "storage-full":
    "Dieser Browser hat keinen Platz mehr für tace. Schaffe welchen oder lösche alte Nachrichten und versuche es noch einmal.",
  "outbox-full":
    "Zu viele Nachrichten warten auf ihre Empfänger. Platz ist wieder, wenn einige angekommen oder abgelaufen sind.",
  internal:
    "Innen ist etwas schiefgegangen. Versuche es noch einmal; bleibt es dabei, lade die Seite neu.",
};
