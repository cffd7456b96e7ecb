export function ChatList() {
  return null;
}

export function Conversation(_props: { identity: string; message: string | null }) {
  return null;
}

export function SearchScreen() {
  return null;
}
