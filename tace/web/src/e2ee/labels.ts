/**
 * Every domain label of the end-to-end protocol: for hashes, signatures and HKDF `info`.
 *
 * No label is a prefix of another one, here or in "../wire/digest".
 */
export const E2eeLabel = {
  IDENTITY_SEED: "tace identity seed 1",
  EXPORT_KEY: "tace export key 1",
  EXPORT_FILE: "tace export file 1",
  RECOVERY_CHECK: "tace recovery check 1",
  DEVICE_SEED: "tace device seed 1",
  DEVICE: "tace device 1",
  CERTIFICATE: "tace device certificate 1",
  SESSION_ID: "tace session id 1",
  TRANSCRIPT: "tace transcript 1",
  SESSION_KEYS: "tace session keys 1",
  RATCHET_ROOT: "tace ratchet root 1",
  RATCHET_MESSAGE: "tace ratchet message 1",
  CONSUMED: "tace consumed 1",
  ENVELOPE: "tace envelope 1",
  SAFETY: "tace safety number 1",
  LINK_CHECK: "tace contact check 1",
  FILE: "tace file 1",
} as const;
export type E2eeLabel = (typeof E2eeLabel)[keyof typeof E2eeLabel];
