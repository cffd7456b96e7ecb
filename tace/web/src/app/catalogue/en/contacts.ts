import type { Catalogue } from "../message";

/** Adding people, requests, and everything about one person. */
export const contacts = {
  block: "Block",
  blocked: "{name} is blocked.",

  "add.title": "Add a contact",
  "add.theirs": "Their link or code",
  "add.field": "Link or code",
  "add.hint": "It begins with tace1, or is an address with tace1 at its end.",
  "add.missing": "Paste their link or code here, or scan their QR code.",
  "add.look": "Look who it is",
  "add.whom": "Whom you add",
  "add.alias": "Your name for them",
  "add.alias-hint": "Only you see it. Left empty, the name they give themselves is shown.",
  "add.go": "Add",
  "add.open": "Open the chat",
  "add.other": "Somebody else",

  "standing.unknown": "Not among your contacts yet",
  "standing.me": "This is you",
  "standing.contact": "Among your contacts already",
  "standing.request": "Has written to you and waits in Requests",
  "standing.blocked": "Blocked by you. Adding takes that back",

  "mine.title": "Your link",
  "mine.text": "Who has it can write to you. The first message waits in Requests until you accept.",
  "mine.qr": "QR code with your link",
  "mine.copy-link": "Copy link",
  "mine.copy-code": "Copy code",

  "scan.camera": "Scan with the camera",
  "scan.image": "Read from an image",
  "scan.title": "Scan a QR code",
  "scan.hint": "Hold the code into the picture. Nothing of it leaves this device.",
  "scan.no-code":
    "No QR code was found in this image. Take one that is sharp and shows the whole code with its margin.",
  "scan.no-image": "This file cannot be read as an image.",
  "scan.refused":
    "The browser did not let the page use the camera. Allow it beside the address, or read the code from an image.",
  "scan.no-camera": "There is no camera that can be used. Read the code from an image instead.",

  "requests.text":
    "These people are not among your contacts. What they wrote is shown when you accept; until then they learn nothing from you.",
  "requests.sent": {
    one: "{count} message, {when}",
    other: "{count} messages, {when}",
  },
  "requests.accept": "Accept",
  "requests.delete": "Delete",
  "requests.empty": "No requests",
  "requests.empty-text": "Who writes to you for the first time waits here.",

  "person.title": "Contact",
  "person.own-name": "Calls themselves {name}",
  "person.new-device":
    "Since {when} they use a device that was not there before: a new browser or computer, or they restored their identity. If they know nothing of it, somebody else may have their recovery code. Ask them another way.",
  "person.device-seen": "I have seen it",
  "person.unlisted":
    "Something came from a device that is not on their list. This can happen while they change devices; if it stays, compare the safety number.",
  "person.alias": "Your name for them",
  "person.alias-saved": "Saved",
  "person.code": "Code",
  "person.chat": "This chat",
  "person.mute": "Mute",
  "person.mute-hint": "No notifications, and not counted as unread.",
  "person.pin": "Pin to the top",
  "person.archive": "Archive",
  "person.clear": "Clear history",

  "retention.label": "Keep messages",
  "retention.hint": "In this browser. The other side decides for theirs.",
  "retention.global": "As in the settings",
  "retention.days": { one: "{count} day", other: "{count} days" },
  "retention.ever": "For ever",

  "clear.title": "Clear the history with {name}?",
  "clear.text": "All messages of this chat go from this browser for good. The contact stays.",
  "clear.go": "Clear history",
  "block.title": "Block {name}?",
  "block.text": "What they send is no longer shown. They are not told.",
  "block.go": "Block",

  "safety.title": "Safety number",
  "safety.text":
    "Compare it with {name} when you meet, or on the telephone. If all digits are the same, nobody stands between you.",
  "safety.number": "Safety number, twelve groups of five digits",
  "safety.qr": "QR code of the safety number",
  "safety.verified": "Verified",
  "safety.not-verified": "Not verified yet",
  "safety.verify": "The numbers are the same",
  "safety.unverify": "No longer verified",
  "safety.same": "The numbers are the same: you talk with {name} and nobody in between.",
  "safety.different":
    "The numbers differ. You may have scanned another chat's code; if it really is the one with {name}, somebody stands between you. Do not trust this chat before you know why.",
} as const satisfies Catalogue;
