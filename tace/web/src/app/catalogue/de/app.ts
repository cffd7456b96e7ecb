import type { app as english } from "../en/app";
import type { Translated } from "../message";

export const app: Translated<typeof english> = {
  name: "tace",
  tagline:
    "Nachrichten zwischen dir und den Menschen, die du kennst. Kein Konto, keine Firma dazwischen.",
  close: "Schließen",
  cancel: "Abbrechen",
  back: "Zurück",
  copy: "Kopieren",
  copied: "Kopiert",
  save: "Speichern",
  print: "Drucken",
  done: "Fertig",
  retry: "Noch einmal",
  loading: "Lädt",
  "skip-to-content": "Zum Inhalt springen",

  "nav.chats": "Chats",
  "nav.search": "Suche",
  "nav.add": "Kontakt hinzufügen",
  "nav.settings": "Einstellungen",
  "nav.network": "Netz",
  "nav.content": "Inhalt",
  "nav.me": "{name}, dein Profil",

  "welcome.title": "Wähle einen Chat",
  "welcome.text":
    "Oder füge jemanden hinzu: Du brauchst nur den Link der anderen, und sie nur deinen.",

  "status.connected": "Verbunden",
  "status.polling": "Abfrage",
  "status.polling-why": "Langsamer als sonst: WebSocket kommt hier nicht durch.",
  "status.connecting": "Verbindet",
  "status.offline": "Offline",
  "status.offline-network": "Dieses Gerät hat keine Verbindung. Nachrichten warten hier.",
  "status.offline-nodes": "Keiner deiner Knoten antwortet. Nachrichten warten hier.",
  "status.offline-clock":
    "Die Uhr dieses Geräts geht falsch, darum lehnen Knoten es ab. Stelle die Uhr und versuche es dann noch einmal.",
  "status.offline-wrong-network": "Der Knoten gehört zu einem anderen Netz. Wähle einen anderen.",
  "status.next-try": {
    one: "Nächster Versuch in {count} Sekunde",
    other: "Nächster Versuch in {count} Sekunden",
  },
  "status.try-now": "Jetzt versuchen",
  "status.waiting": { one: "{count} Nachricht wartet", other: "{count} Nachrichten warten" },
  "status.failover": "{from} antwortet nicht. Du bist jetzt bei {to}.",

  "update.text": "Eine neue Version ist bereit.",
  "update.action": "Neu laden",
  "install.text": "tace lässt sich wie eine App installieren.",
  "install.action": "Installieren",

  "blocked.title": "Hier kann tace nicht arbeiten",
  "blocked.insecure":
    "Diese Seite kam über einfaches http. Verschlüsselung erlauben Browser nur über https und auf localhost.",
  "blocked.insecure-do":
    "Öffne die Adresse mit https, oder bitte, wer diesen Knoten betreibt, das einzurichten.",
  "blocked.no-database":
    "Dieser Browser gibt der Seite keinen Speicher, wie in manchen privaten Fenstern.",
  "blocked.no-database-do":
    "Öffne die Seite in einem gewöhnlichen Fenster und erlaube ihr, Daten zu speichern.",
  "blocked.too-old": "Diesem Browser fehlt etwas, das tace braucht.",
  "blocked.too-old-do":
    "Aktualisiere den Browser, oder nimm ein aktuelles Firefox, Chrome, Edge oder Safari.",
  "blocked.newer-database": "In diesem Browser lief schon eine neuere Version von tace.",
  "blocked.newer-database-do": "Schließe die anderen Tabs von tace und lade diese Seite neu.",
  "blocked.storage-full":
    "Dieser Browser gibt tace keinen Platz mehr, deshalb kann nichts gespeichert oder gesendet werden.",
  "blocked.storage-full-do":
    "Schaffe Platz auf diesem Gerät oder im Browser und lade die Seite neu. Von dir wurde nichts gelöscht.",
  "blocked.failed": "tace ist beim Start gescheitert. Von dir wurde nichts gelöscht.",
  "blocked.failed-do": "Lade die Seite neu. Hilft das nicht, starte den Browser neu.",
  "blocked.reload": "Neu laden",

  "start.title": "Wie heißt du?",
  "start.invited":
    "Jemand hat dir einen Kontakt geschickt. Wähle einen Namen, dann siehst du, wen du hinzufügst.",
  "start.name": "Spitzname",
  "start.name-hint": "Ihn sehen die, denen du schreibst. Du kannst ihn jederzeit ändern.",
  "start.name-missing": "Schreib etwas, woran man dich erkennt.",
  "start.name-long": "Das ist zu lang. Höchstens 64 Buchstaben.",
  "start.go": "Los geht’s",
  "start.other": "Warst du schon einmal hier?",
  "start.have-code": "Ich habe einen Wiederherstellungscode",
  "start.have-export": "Ich habe eine Exportdatei",
  "start.keys": "Deine Schlüssel entstehen hier und bleiben in diesem Browser.",

  "restore.title": "Mit dem Wiederherstellungscode zurück",
  "restore.text":
    "Du bekommst deine Identität zurück. Nachrichten und Kontakte stecken nicht im Code, sondern in einer Exportdatei.",
  "restore.code": "Wiederherstellungscode",
  "restore.code-hint": "30 Buchstaben und Ziffern. Großschreibung und Striche sind egal.",
  "restore.once": "Wo diese Identität jetzt benutzt wird, hört sie auf.",
  "restore.go": "Wiederherstellen",

  "import.title": "Alles mitbringen",
  "import.text":
    "Eine Exportdatei aus einem anderen Browser oder von der Seite eines anderen Knotens.",
  "import.file": "Exportdatei",
  "import.choose": "Datei wählen",
  "import.look": "Hineinsehen",
  "import.contents": "Das ist darin",
  "import.contacts": { one: "{count} Kontakt", other: "{count} Kontakte" },
  "import.messages": { one: "{count} Nachricht", other: "{count} Nachrichten" },
  "import.made": "Erstellt {date}",
  "import.go": "Importieren",

  "code.title": "Sichere deinen Wiederherstellungscode",
  "code.banner":
    "Dein Wiederherstellungscode ist noch nicht gesichert. Ohne ihn ist mit dem Browser auch die Identität verloren.",
  "code.open": "Jetzt sichern",
  "code.text":
    "Mit ihm bekommst du deine Identität zurück, wenn dieser Browser verloren ist. Wer ihn hat, kann du sein: Bewahre ihn auf wie einen Schlüssel.",
  "code.label": "Wiederherstellungscode",
  "code.show": "Code zeigen",
  "code.hide": "Code verbergen",
  "code.hidden": "Verborgen, damit ihn niemand über deine Schulter liest",
  "code.file": "Als Datei speichern",
  "code.file-text":
    "tace-Wiederherstellungscode von {name}\n\n{code}\n\nHalte ihn geheim. Wer ihn hat, kann du sein.\n",
  "code.check": "Tippe zur Probe die letzten zwei Gruppen ab",
  "code.check-hint": "Die zehn Buchstaben und Ziffern am Ende.",
  "code.check-wrong": "So endet dein Code nicht. Vergleiche ihn noch einmal.",
  "code.saved": "Ich habe ihn gesichert",
  "code.later": "Später",
  "code.forgotten": "Der Code ist gesichert, und diese Seite hat ihn vergessen.",
  "code.ready": "Bereit, {name}",

  "replaced.title": "Diese Identität lebt jetzt anderswo",
  "replaced.text":
    "Sie wurde in einem anderen Browser oder mit dem Befehl tace wiederhergestellt. Darum hat dieser hier aufgehört.",
  "replaced.do":
    "Warst du das, vergiss, was hier ist, und mach dort weiter. Warst du es nicht, hat jemand deinen Wiederherstellungscode: Warne deine Kontakte und fang mit einer neuen Identität an.",
  "replaced.forget": "Diesen Browser vergessen",
  "replaced.sure": "Alles von tace in diesem Browser wird endgültig gelöscht.",

  "notification.title": "tace",
  "notification.message": { one: "Eine neue Nachricht", other: "{count} neue Nachrichten" },
  "notification.request": "Jemand möchte dir schreiben",
};
