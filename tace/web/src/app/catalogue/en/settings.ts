import type { Catalogue } from "../message";

/** Settings and the network panel. */
export const settings = {
  title: "Settings",
  back: "Back to the chats",
  "back-to-list": "Back to the settings",
  saved: "Saved",

  profile: "Profile",
  "profile.detail": "Your name, your link",
  "profile.name": "Your name",
  "profile.link": "My link",
  "profile.link-hint":
    "Whoever opens it can write to you. It names you and nothing else; give it to anybody you like.",
  "profile.copy": "Copy the link",
  "profile.share": "Share",
  "profile.qr": "QR code of your link",
  "profile.code": "Or only your code",

  appearance: "Appearance",
  "appearance.detail": "Theme and language",
  "appearance.theme": "Theme",
  "appearance.auto": "As the system",
  "appearance.light": "Light",
  "appearance.dark": "Dark",
  "appearance.language": "Language",
  "appearance.language-auto": "As the browser",

  notifications: "Notifications",
  "notifications.detail": "When tace may speak up",
  "notifications.on": "Notify me",
  "notifications.on-hint":
    "While a tab of tace is open and you look elsewhere. Never with a name or a text.",
  "notifications.refused":
    "This browser refuses notifications from this page. You can change that beside its address.",
  "notifications.not-here": "This browser has no notifications for pages.",
  "notifications.quiet": "Quiet hours",
  "notifications.quiet-hint": "Messages arrive, nothing is announced.",
  "notifications.from": "From",
  "notifications.to": "To",
  "notifications.per-chat": "A single chat is muted in its own menu.",

  privacy: "Privacy",
  "privacy.detail": "Read receipts, nodes",
  "privacy.read": "Read receipts",
  "privacy.read-hint":
    "Tells people when you have read their message. Whether you see it of yours is for them to decide.",
  "privacy.two-nodes": "Send and collect at two nodes",
  "privacy.two-nodes-hint":
    "Then no single node sees both what you send and what you fetch. It needs two nodes that you know.",
  "privacy.always":
    "What is always so: nodes see sealed envelopes, mailbox numbers, times and your network address. They cannot read or forge anything.",

  history: "History",
  "history.detail": "How long messages are kept",
  "history.keep": "Keep messages in this browser",
  "history.for-ever": "For ever",
  "history.days": { one: "{count} day", other: "{count} days" },
  "history.hint": "Older ones are deleted here, and only here. A chat can have a time of its own.",

  storage: "Storage and backup",
  "storage.detail": "Export, import, recovery code",
  "storage.kept": "The browser has promised to keep what is stored here.",
  "storage.not-kept":
    "The browser may delete what is stored here when space gets short. An export keeps it safe.",
  "storage.not-asked": "The browser has not been asked yet to keep what is stored here.",
  "storage.ask": "Ask the browser to keep it",
  "storage.refused":
    "The browser makes no promise. It often does once the page is installed or used more.",
  "storage.used": "{used} used of {quota}",
  "storage.export": "Export everything",
  "storage.export-text":
    "One sealed file with contacts, messages and your identity. Your recovery code opens it, and nothing else does.",
  "storage.export-go": "Make an export",
  "storage.exported": "The export is in your downloads.",
  "storage.last": "Last export {when}",
  "storage.never": "No export has been made yet",
  "storage.old": "The last export is more than a week old.",
  "storage.test": "Try an export",
  "storage.test-text": "Opens an export and says what is in it. Nothing here changes.",
  "storage.test-good": "This export is sound.",
  "storage.import": "Import",
  "storage.import-text":
    "An export is taken over in a browser where tace has not been started yet, on its first page. It works on another node's page, too: that is how you move.",
  "storage.contacts": "Contacts",
  "storage.contacts-text": "Links and names as a plain file, to take along or to hand on.",
  "storage.contacts-export": "Save contacts",
  "storage.contacts-import": "Read contacts",
  "storage.contacts-added": {
    one: "{count} contact was new.",
    other: "{count} contacts were new.",
  },
  "storage.code": "Recovery code",
  "storage.code-saved": "You have said that it is saved. This page has forgotten it.",
  "storage.code-test": "Check a code",
  "storage.code-right": "This is the code of your identity.",
  "storage.code-wrong": "This code belongs to another identity, or to none.",

  shortcuts: "Keyboard",
  "shortcuts.detail": "Shortcuts",
  "shortcuts.search": "Search everything",
  "shortcuts.add": "Add a contact",
  "shortcuts.settings": "Settings",
  "shortcuts.help": "This list",
  "shortcuts.next-chat": "Next chat",
  "shortcuts.previous-chat": "Previous chat",
  "shortcuts.next-pane": "Between the list and the content",
  "shortcuts.back": "Back to the list, or close",
  "shortcuts.send": "Send",
  "shortcuts.line": "New line",
  "shortcuts.edit": "Edit your last message, from an empty field",
  "shortcuts.messages": "From message to message",
  "shortcuts.menu": "Menu of a message or chat",
  "shortcuts.key-shift": "Shift",
  "shortcuts.key-ctrl": "Ctrl",

  about: "About",
  "about.detail": "Version, what it can promise",
  "about.version": "tace {version}",
  "about.install":
    "tace can be installed like an app: a window of its own, and the browser keeps its data more willingly.",
  "about.promise": "What this page can promise, and what not",
  "about.promise-1":
    "Messages are sealed in this browser and opened in the browser of whoever they are for. No node can read them.",
  "about.promise-2":
    "A page is as honest as the node that served it. Each time it loads, that node could hand out another program, and the page cannot notice. Use the page of your own node, or of one whose operator you trust.",
  "about.promise-3":
    "Whoever runs the command tace verify-web can compare what this node serves with the published files.",
  "about.promise-4":
    "What is stored here is as safe as this device. Somebody with your whole browser profile can read it.",
  "about.docs": "More in the documentation, docs/web.md of the source.",

  forget: "Forget this browser",
  "forget.detail": "Delete everything here",
  "forget.text":
    "Deletes your identity, your contacts and all messages from this browser. Others keep what they have.",
  "forget.without-code":
    "Your recovery code is not saved. After this, your identity is gone for good.",
  "forget.without-export": "There is no export. After this, your messages are gone for good.",
  "forget.confirm": "Type your name to go on",
  "forget.go": "Forget everything",

  "network.title": "Network",
  "network.nodes": "Your nodes",
  "network.nodes-text":
    "Any of them can carry your messages. When one fails, the next takes over by itself.",
  "network.add": "Add a node",
  "network.address": "Address of a node",
  "network.address-hint":
    "From then on this page also talks to that node, and that node sees your network address.",
  "network.add-go": "Add",
  "network.added": "{node} is one of your nodes now.",
  "network.use": "Use for collecting",
  "network.remove": "Remove",
  "network.options": "What to do with {node}",
  "network.now-using": "You collect at {node} now.",
  "network.inbox": "Collects",
  "network.outbox": "Sends",
  "network.source-here": "served this page",
  "network.source-added": "added by you",
  "network.source-met": "learned from the network",
  "network.health-good": "Answers well",
  "network.health-slow": "Answers slowly",
  "network.health-failing": "Fails",
  "network.health-unknown": "Not tried yet",
  "network.round-trip": "{ms} ms",
  "network.seen": "last answer {when}",
  "network.ring": "The ring",
  "network.ring-text":
    "The nodes stand on a ring by their number. Each keeps the envelopes of its stretch, and so do its successors.",
  "network.ring-picture": {
    one: "A ring with {count} node, the one you use.",
    other: "A ring with {count} nodes. The one you use stands at {place} of the way round.",
  },
  "network.members": { one: "{count} node", other: "{count} nodes" },
  "network.items": { one: "{count} envelope", other: "{count} envelopes" },
  "network.here": "at your node",
  "network.yours": "your node",
  "network.state": "Your node says: {state}",
  "network.no-ring": "The ring can be seen when a node answers.",
  "network.refresh": "Ask again",
} as const satisfies Catalogue;
