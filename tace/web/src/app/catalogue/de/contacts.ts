import type { contacts as english } from "../en/contacts";
import type { Translated } from "../message";

export const contacts: Translated<typeof english> = {
  block: "Blockieren",
  blocked: "{name} ist blockiert.",

  "add.title": "Kontakt hinzufügen",
  "add.theirs": "Link oder Code der anderen Person",
  "add.field": "Link oder Code",
  "add.hint": "Beginnt mit tace1 oder ist eine Adresse, an deren Ende tace1 steht.",
  "add.missing": "Füge hier den Link oder Code ein, oder scanne den QR-Code.",
  "add.look": "Nachsehen, wer es ist",
  "add.whom": "Wen du hinzufügst",
  "add.alias": "Dein Name für die Person",
  "add.alias-hint": "Nur du siehst ihn. Bleibt er leer, erscheint der selbst gewählte Name.",
  "add.go": "Hinzufügen",
  "add.open": "Chat öffnen",
  "add.other": "Jemand anderes",

  "standing.unknown": "Noch nicht unter deinen Kontakten",
  "standing.me": "Das bist du",
  "standing.contact": "Schon unter deinen Kontakten",
  "standing.request": "Hat dir geschrieben und wartet unter Anfragen",
  "standing.blocked": "Von dir blockiert. Hinzufügen hebt das auf",

  "mine.title": "Dein Link",
  "mine.text":
    "Wer ihn hat, kann dir schreiben. Die erste Nachricht wartet unter Anfragen, bis du annimmst.",
  "mine.qr": "QR-Code mit deinem Link",
  "mine.copy-link": "Link kopieren",
  "mine.copy-code": "Code kopieren",

  "scan.camera": "Mit der Kamera scannen",
  "scan.image": "Aus einem Bild lesen",
  "scan.title": "QR-Code scannen",
  "scan.hint": "Halte den Code ins Bild. Nichts davon verlässt dieses Gerät.",
  "scan.no-code":
    "In diesem Bild ist kein QR-Code zu finden. Nimm eines, das scharf ist und den ganzen Code mit Rand zeigt.",
  "scan.no-image": "Diese Datei lässt sich nicht als Bild lesen.",
  "scan.refused":
    "Der Browser hat die Kamera nicht freigegeben. Erlaube sie neben der Adresse, oder lies den Code aus einem Bild.",
  "scan.no-camera": "Es gibt keine nutzbare Kamera. Lies den Code stattdessen aus einem Bild.",

  "requests.text":
    "Diese Leute gehören nicht zu deinen Kontakten. Was sie geschrieben haben, siehst du, wenn du annimmst; bis dahin erfahren sie nichts von dir.",
  "requests.sent": {
    one: "{count} Nachricht, {when}",
    other: "{count} Nachrichten, {when}",
  },
  "requests.accept": "Annehmen",
  "requests.delete": "Löschen",
  "requests.empty": "Keine Anfragen",
  "requests.empty-text": "Wer dir zum ersten Mal schreibt, wartet hier.",

  "person.title": "Kontakt",
  "person.own-name": "Nennt sich {name}",
  "person.new-device":
    "Seit {when} ist ein Gerät dabei, das vorher nicht da war: ein neuer Browser oder Computer, oder die Identität wurde wiederhergestellt. Weiß die Person nichts davon, hat vielleicht jemand anderes ihren Wiederherstellungscode. Frag auf einem anderen Weg nach.",
  "person.device-seen": "Gesehen",
  "person.unlisted":
    "Etwas kam von einem Gerät, das nicht auf der Liste der Person steht. Das kann beim Gerätewechsel vorkommen; bleibt es so, vergleicht die Sicherheitsnummer.",
  "person.alias": "Dein Name für die Person",
  "person.alias-saved": "Gespeichert",
  "person.code": "Code",
  "person.chat": "Dieser Chat",
  "person.mute": "Stummschalten",
  "person.mute-hint": "Keine Mitteilungen, und nicht als ungelesen gezählt.",
  "person.pin": "Oben anheften",
  "person.archive": "Archivieren",
  "person.clear": "Verlauf leeren",

  "retention.label": "Nachrichten behalten",
  "retention.hint": "In diesem Browser. Die andere Seite entscheidet für sich.",
  "retention.global": "Wie in den Einstellungen",
  "retention.days": { one: "{count} Tag", other: "{count} Tage" },
  "retention.ever": "Für immer",

  "clear.title": "Den Verlauf mit {name} leeren?",
  "clear.text":
    "Alle Nachrichten dieses Chats verschwinden endgültig aus diesem Browser. Der Kontakt bleibt.",
  "clear.go": "Verlauf leeren",
  "block.title": "{name} blockieren?",
  "block.text": "Was die Person schickt, wird nicht mehr gezeigt. Sie erfährt davon nichts.",
  "block.go": "Blockieren",

  "safety.title": "Sicherheitsnummer",
  "safety.text":
    "Vergleiche sie mit {name}, wenn ihr euch trefft, oder am Telefon. Sind alle Ziffern gleich, steht niemand zwischen euch.",
  "safety.number": "Sicherheitsnummer, zwölf Gruppen aus fünf Ziffern",
  "safety.qr": "QR-Code der Sicherheitsnummer",
  "safety.verified": "Verifiziert",
  "safety.not-verified": "Noch nicht verifiziert",
  "safety.verify": "Die Nummern sind gleich",
  "safety.unverify": "Nicht mehr verifiziert",
  "safety.same": "Die Nummern sind gleich: Du sprichst mit {name}, und niemand steht dazwischen.",
  "safety.different":
    "Die Nummern sind verschieden. Vielleicht hast du den Code eines anderen Chats gescannt; ist es wirklich der mit {name}, steht jemand zwischen euch. Vertraue diesem Chat nicht, bevor du weißt, warum.",
};
