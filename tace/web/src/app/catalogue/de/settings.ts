import type { settings as english } from "../en/settings";
import type { Translated } from "../message";

export const settings: Translated<typeof english> = {
  title: "Einstellungen",
  back: "Zurück zu den Chats",
  "back-to-list": "Zurück zu den Einstellungen",
  saved: "Gespeichert",

  profile: "Profil",
  "profile.detail": "Dein Name, dein Link",
  "profile.name": "Dein Name",
  "profile.link": "Mein Link",
  "profile.link-hint":
    "Wer ihn öffnet, kann dir schreiben. Er nennt dich und sonst nichts; gib ihn, wem du willst.",
  "profile.copy": "Link kopieren",
  "profile.share": "Teilen",
  "profile.qr": "QR-Code deines Links",
  "profile.code": "Oder nur dein Code",

  appearance: "Aussehen",
  "appearance.detail": "Farben und Sprache",
  "appearance.theme": "Farben",
  "appearance.auto": "Wie das System",
  "appearance.light": "Hell",
  "appearance.dark": "Dunkel",
  "appearance.language": "Sprache",
  "appearance.language-auto": "Wie der Browser",

  notifications: "Mitteilungen",
  "notifications.detail": "Wann sich tace meldet",
  "notifications.on": "Mitteilungen zeigen",
  "notifications.on-hint":
    "Solange ein Tab von tace offen ist und du woanders hinsiehst. Nie mit Namen oder Text.",
  "notifications.refused":
    "Dieser Browser lehnt Mitteilungen dieser Seite ab. Ändern kannst du das neben ihrer Adresse.",
  "notifications.not-here": "Dieser Browser kennt keine Mitteilungen von Seiten.",
  "notifications.quiet": "Ruhezeit",
  "notifications.quiet-hint": "Nachrichten kommen an, gemeldet wird nichts.",
  "notifications.from": "Von",
  "notifications.to": "Bis",
  "notifications.per-chat": "Einen einzelnen Chat schaltest du in seinem Menü stumm.",

  privacy: "Privatsphäre",
  "privacy.detail": "Lesebestätigungen, Knoten",
  "privacy.read": "Lesebestätigungen",
  "privacy.read-hint":
    "Sagt anderen, wann du ihre Nachricht gelesen hast. Ob du es von deinen siehst, entscheiden sie.",
  "privacy.two-nodes": "An zwei Knoten senden und abholen",
  "privacy.two-nodes-hint":
    "Dann sieht kein einzelner Knoten zugleich, was du sendest und was du abholst. Dafür musst du zwei Knoten kennen.",
  "privacy.always":
    "Was immer gilt: Knoten sehen versiegelte Umschläge, Nummern von Briefkästen, Zeiten und deine Netzadresse. Lesen oder fälschen können sie nichts.",

  history: "Verlauf",
  "history.detail": "Wie lange Nachrichten bleiben",
  "history.keep": "Nachrichten in diesem Browser behalten",
  "history.for-ever": "Für immer",
  "history.days": { one: "{count} Tag", other: "{count} Tage" },
  "history.hint":
    "Ältere werden hier gelöscht, und nur hier. Ein Chat kann eine eigene Frist haben.",

  storage: "Speicher und Sicherung",
  "storage.detail": "Export, Import, Wiederherstellungscode",
  "storage.kept": "Der Browser hat versprochen, zu behalten, was hier gespeichert ist.",
  "storage.not-kept":
    "Der Browser darf löschen, was hier gespeichert ist, wenn der Platz knapp wird. Ein Export bewahrt es.",
  "storage.not-asked":
    "Der Browser wurde noch nicht gebeten, zu behalten, was hier gespeichert ist.",
  "storage.ask": "Den Browser darum bitten",
  "storage.refused":
    "Der Browser verspricht nichts. Oft tut er es, sobald die Seite installiert ist oder öfter benutzt wird.",
  "storage.used": "{used} von {quota} belegt",
  "storage.export": "Alles exportieren",
  "storage.export-text":
    "Eine versiegelte Datei mit Kontakten, Nachrichten und deiner Identität. Dein Wiederherstellungscode öffnet sie, sonst nichts.",
  "storage.export-go": "Export erstellen",
  "storage.exported": "Der Export liegt bei deinen Downloads.",
  "storage.last": "Letzter Export {when}",
  "storage.never": "Noch kein Export erstellt",
  "storage.old": "Der letzte Export ist mehr als eine Woche alt.",
  "storage.test": "Einen Export prüfen",
  "storage.test-text": "Öffnet einen Export und sagt, was darin ist. Hier ändert sich nichts.",
  "storage.test-good": "Dieser Export ist in Ordnung.",
  "storage.import": "Import",
  "storage.import-text":
    "Ein Export wird in einem Browser übernommen, in dem tace noch nicht gestartet wurde, auf der ersten Seite. Das geht auch auf der Seite eines anderen Knotens: So ziehst du um.",
  "storage.contacts": "Kontakte",
  "storage.contacts-text": "Links und Namen als einfache Datei, zum Mitnehmen oder Weitergeben.",
  "storage.contacts-export": "Kontakte speichern",
  "storage.contacts-import": "Kontakte einlesen",
  "storage.contacts-added": {
    one: "{count} Kontakt war neu.",
    other: "{count} Kontakte waren neu.",
  },
  "storage.code": "Wiederherstellungscode",
  "storage.code-saved": "Du hast gesagt, dass er gesichert ist. Diese Seite hat ihn vergessen.",
  "storage.code-test": "Einen Code prüfen",
  "storage.code-right": "Das ist der Code deiner Identität.",
  "storage.code-wrong": "Dieser Code gehört zu einer anderen Identität oder zu keiner.",

  shortcuts: "Tastatur",
  "shortcuts.detail": "Tastenkürzel",
  "shortcuts.search": "Alles durchsuchen",
  "shortcuts.add": "Kontakt hinzufügen",
  "shortcuts.settings": "Einstellungen",
  "shortcuts.help": "Diese Liste",
  "shortcuts.next-chat": "Nächster Chat",
  "shortcuts.previous-chat": "Voriger Chat",
  "shortcuts.next-pane": "Zwischen Liste und Inhalt",
  "shortcuts.back": "Zurück zur Liste, oder schließen",
  "shortcuts.send": "Senden",
  "shortcuts.line": "Neue Zeile",
  "shortcuts.edit": "Letzte eigene Nachricht bearbeiten, aus leerem Feld",
  "shortcuts.messages": "Von Nachricht zu Nachricht",
  "shortcuts.menu": "Menü einer Nachricht oder eines Chats",
  "shortcuts.key-shift": "Umschalt",
  "shortcuts.key-ctrl": "Strg",

  about: "Über tace",
  "about.detail": "Version, und was es versprechen kann",
  "about.version": "tace {version}",
  "about.install":
    "tace lässt sich wie eine App installieren: mit eigenem Fenster, und der Browser behält die Daten eher.",
  "about.promise": "Was diese Seite versprechen kann und was nicht",
  "about.promise-1":
    "Nachrichten werden in diesem Browser versiegelt und im Browser derer geöffnet, für die sie sind. Kein Knoten kann sie lesen.",
  "about.promise-2":
    "Eine Seite ist so ehrlich wie der Knoten, der sie ausliefert. Bei jedem Laden könnte er ein anderes Programm schicken, und die Seite merkt es nicht. Nimm die Seite deines eigenen Knotens oder eines, dessen Betreibern du traust.",
  "about.promise-3":
    "Mit dem Befehl tace verify-web lässt sich vergleichen, ob dieser Knoten die veröffentlichten Dateien ausliefert.",
  "about.promise-4":
    "Was hier gespeichert ist, ist so sicher wie dieses Gerät. Wer dein ganzes Browserprofil hat, kann es lesen.",
  "about.docs": "Mehr steht in der Dokumentation, docs/web.md im Quelltext.",

  forget: "Diesen Browser vergessen",
  "forget.detail": "Alles hier löschen",
  "forget.text":
    "Löscht deine Identität, deine Kontakte und alle Nachrichten aus diesem Browser. Andere behalten, was sie haben.",
  "forget.without-code":
    "Dein Wiederherstellungscode ist nicht gesichert. Danach ist deine Identität endgültig weg.",
  "forget.without-export": "Es gibt keinen Export. Danach sind deine Nachrichten endgültig weg.",
  "forget.confirm": "Gib deinen Namen ein, um fortzufahren",
  "forget.go": "Alles vergessen",

  "network.title": "Netz",
  "network.nodes": "Deine Knoten",
  "network.nodes-text":
    "Jeder von ihnen kann deine Nachrichten tragen. Fällt einer aus, übernimmt der nächste von selbst.",
  "network.add": "Knoten hinzufügen",
  "network.address": "Adresse eines Knotens",
  "network.address-hint":
    "Ab dann spricht diese Seite auch mit diesem Knoten, und er sieht deine Netzadresse.",
  "network.add-go": "Hinzufügen",
  "network.added": "{node} ist jetzt einer deiner Knoten.",
  "network.use": "Zum Abholen verwenden",
  "network.remove": "Entfernen",
  "network.options": "Was mit {node} geschehen soll",
  "network.now-using": "Du holst jetzt bei {node} ab.",
  "network.inbox": "Holt ab",
  "network.outbox": "Sendet",
  "network.source-here": "hat diese Seite ausgeliefert",
  "network.source-added": "von dir hinzugefügt",
  "network.source-met": "im Netz kennengelernt",
  "network.health-good": "Antwortet gut",
  "network.health-slow": "Antwortet langsam",
  "network.health-failing": "Fällt aus",
  "network.health-unknown": "Noch nicht versucht",
  "network.round-trip": "{ms} ms",
  "network.seen": "letzte Antwort {when}",
  "network.ring": "Der Ring",
  "network.ring-text":
    "Die Knoten stehen nach ihrer Nummer auf einem Ring. Jeder verwahrt die Umschläge seines Abschnitts, und seine Nachfolger tun es auch.",
  "network.ring-picture": {
    one: "Ein Ring mit {count} Knoten, dem, den du benutzt.",
    other: "Ein Ring mit {count} Knoten. Der, den du benutzt, steht bei {place} des Weges herum.",
  },
  "network.members": { one: "{count} Knoten", other: "{count} Knoten" },
  "network.items": { one: "{count} Umschlag", other: "{count} Umschläge" },
  "network.here": "bei deinem Knoten",
  "network.yours": "dein Knoten",
  "network.state": "Dein Knoten sagt: {state}",
  "network.no-ring": "Den Ring sieht man, sobald ein Knoten antwortet.",
  "network.refresh": "Noch einmal fragen",
};
