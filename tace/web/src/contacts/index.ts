export function AddContact(_props: { code: string | null }) {
  return null;
}

export function Requests() {
  return null;
}

export function Person(_props: { identity: string }) {
  return null;
}
