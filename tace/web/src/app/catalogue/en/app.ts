import type { Catalogue } from "../message";

/** The shell: start, status line, what is said over all screens. */
export const app = {
  name: "tace",
  tagline: "Messages between you and the people you know. No account, no company in between.",
  close: "Close",
  cancel: "Cancel",
  back: "Back",
  copy: "Copy",
  copied: "Copied",
  save: "Save",
  print: "Print",
  done: "Done",
  retry: "Try again",
  loading: "Loading",
  "skip-to-content": "Skip to the content",

  "nav.chats": "Chats",
  "nav.search": "Search",
  "nav.add": "Add a contact",
  "nav.settings": "Settings",
  "nav.network": "Network",
  "nav.content": "Content",
  "nav.me": "{name}, your profile",

  "welcome.title": "Choose a chat",
  "welcome.text": "Or add somebody: all you need is their link, and all they need is yours.",

  "status.connected": "Connected",
  "status.polling": "Polling",
  "status.polling-why": "Slower than usual: WebSocket does not get through here.",
  "status.connecting": "Connecting",
  "status.offline": "Offline",
  "status.offline-network": "This device has no connection. Messages wait here.",
  "status.offline-nodes": "None of your nodes answers. Messages wait here.",
  "status.offline-clock":
    "This device's clock is wrong, so nodes refuse it. Set the clock, then try again.",
  "status.offline-wrong-network": "The node belongs to another network. Choose another node.",
  "status.next-try": {
    one: "Next try in {count} second",
    other: "Next try in {count} seconds",
  },
  "status.try-now": "Try now",
  "status.waiting": { one: "{count} message waits", other: "{count} messages wait" },
  "status.failover": "{from} does not answer. You are now with {to}.",

  "update.text": "A new version is ready.",
  "update.action": "Reload",
  "install.text": "tace can be installed like an app.",
  "install.action": "Install",

  "blocked.title": "tace cannot work here",
  "blocked.insecure":
    "This page came over plain http. Browsers allow encryption only on https, and on localhost.",
  "blocked.insecure-do": "Open the address with https, or ask whoever runs this node to set it up.",
  "blocked.no-database": "This browser gives the page no storage, as in some private windows.",
  "blocked.no-database-do": "Open the page in an ordinary window, and allow it to store site data.",
  "blocked.too-old": "This browser lacks something that tace needs.",
  "blocked.too-old-do": "Update the browser, or use a current Firefox, Chrome, Edge or Safari.",
  "blocked.newer-database": "A newer version of tace has been used in this browser.",
  "blocked.newer-database-do": "Close the other tabs of tace, then reload this page.",
  "blocked.storage-full": "This browser gives tace no more space, so nothing can be saved or sent.",
  "blocked.storage-full-do":
    "Free space on this device or in the browser, then reload. Nothing of yours was deleted.",
  "blocked.failed": "tace broke while it was starting. Nothing of yours was deleted.",
  "blocked.failed-do": "Reload the page. If that does not help, restart the browser.",
  "blocked.reload": "Reload",

  "start.title": "What are you called?",
  "start.invited": "Somebody sent you their contact. Choose a name, then you see whom you add.",
  "start.name": "Nickname",
  "start.name-hint": "People you write to see it. You can change it whenever you like.",
  "start.name-missing": "Write something that people will know you by.",
  "start.name-long": "That is too long. 64 letters are the most.",
  "start.go": "Start",
  "start.other": "Have you been here before?",
  "start.have-code": "I have a recovery code",
  "start.have-export": "I have an export file",
  "start.keys": "Your keys are made here and stay in this browser.",

  "restore.title": "Come back with your recovery code",
  "restore.text":
    "You get your identity back. Messages and contacts are not in the code; an export file has them.",
  "restore.code": "Recovery code",
  "restore.code-hint": "30 letters and digits. Capitals and dashes do not matter.",
  "restore.once": "Wherever this identity is in use now, it stops there.",
  "restore.go": "Restore",

  "import.title": "Bring everything along",
  "import.text": "An export file, made in another browser or on another node's page.",
  "import.file": "Export file",
  "import.choose": "Choose a file",
  "import.look": "Look inside",
  "import.contents": "This is in it",
  "import.contacts": { one: "{count} contact", other: "{count} contacts" },
  "import.messages": { one: "{count} message", other: "{count} messages" },
  "import.made": "Made {date}",
  "import.go": "Import",

  "code.title": "Save your recovery code",
  "code.banner":
    "Your recovery code is not saved yet. Without it, a lost browser is a lost identity.",
  "code.open": "Save it now",
  "code.text":
    "With it you get your identity back when this browser is gone. Who has it can be you, so keep it like a key.",
  "code.label": "Recovery code",
  "code.show": "Show the code",
  "code.hide": "Hide the code",
  "code.hidden": "Hidden, so that nobody reads it over your shoulder",
  "code.file": "Save as a file",
  "code.file-text":
    "tace recovery code of {name}\n\n{code}\n\nKeep it secret. Who has it can be you.\n",
  "code.check": "Type the last two groups to check",
  "code.check-hint": "The ten letters and digits at the end.",
  "code.check-wrong": "That is not the end of your code. Compare it once more.",
  "code.saved": "I have saved it",
  "code.later": "Later",
  "code.forgotten": "The code is saved, and this page has forgotten it.",
  "code.ready": "Ready, {name}",

  "replaced.title": "This identity lives elsewhere now",
  "replaced.text":
    "It was restored in another browser or with the tace command, so this one has stopped..",
  "replaced.do":
    "If that was you, forget what is here and go on there. If it was not you, somebody has your recovery code: warn your contacts and start over with a new identity.",
  "replaced.forget": "Forget this browser",
  "replaced.sure": "Everything of tace in this browser is deleted for good.",

  "notification.title": "tace",
  "notification.message": { one: "A new message", other: "{count} new messages" },
  "notification.request": "Somebody wants to write to you",
} as const satisfies Catalogue;
