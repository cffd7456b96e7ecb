/**
 * Every domain label of the end-to-end protocol: for hashes, signatures and HKDF `info`.
 *
 * No label is a prefix of another one, here or in "wire/digest".
 */
export const E2eeLabel = {
  identitySeed: "tace identity seed 1",
  exportKey: "tace export key 1",
  recoveryCheck: "tace recovery check 1",
  deviceSeed: "tace device seed 1",
  device: "tace device 1",
  certificate: "tace device certificate 1",
  sessionId: "tace session id 1",
  transcript: "tace transcript 1",
  sessionKeys: "tace session keys 1",
  ratchetRoot: "tace ratchet root 1",
  ratchetMessage: "tace ratchet message 1",
  consumed: "tace consumed 1",
  envelope: "tace envelope 1",
  safety: "tace safety number 1",
  linkCheck: "tace contact check 1",
  exportFile: "tace export file 1",
  file: "tace file 1",
} as const;

export type E2eeLabel = (typeof E2eeLabel)[keyof typeof E2eeLabel];
